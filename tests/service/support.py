"""What the service's tests share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.server import RunningServer
from service.settings import ServiceSettings, load_settings

StartServer = Callable[..., Awaitable[RunningServer]]
Pixels = NDArray[np.uint8]


def settings_for_tests(**changes: Any) -> ServiceSettings:
    defaults: dict[str, Any] = {
        "bundle": Path("unused"),
        "port": 0,
        "metrics_enabled": False,
        "metrics_port": 0,
        "drain_delay": 0.0,
        "grace": 5.0,
    }
    return load_settings(**(defaults | changes))


def random_pixels(*shape: int, seed: int = 7) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def score_method(channel: Any) -> Any:
    """`Score` on bare bytes."""
    return channel.unary_unary("/isthmus.v1.AdversarialDetector/Score")
