"""What the service's tests share."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from service.server import RunningServer
from service.settings import ServiceSettings, load_settings
from tests.support.brightness import BrightnessScorer

if TYPE_CHECKING:
    from detector import Detection
    from detector.classifiers.base import Float32Array

ROOT = Path(__file__).parents[2]
WARM_UP_BATCHES = 2  # a server scores one image and a full batch before it is ready

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
        "inline_seconds": 0.0,  # an engine that a test holds up must not hold up the test
    }
    return load_settings(**(defaults | changes))


def python_environment() -> dict[str, str]:
    """What a Python of this checkout needs to find all packages, installed or not."""
    return os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "protos")))}


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=python_environment()
    )


def random_pixels(*shape: int, seed: int = 7) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def score_method(channel: Any) -> Any:
    """`Score` on bare bytes."""
    return channel.unary_unary("/isthmus.v1.AdversarialDetector/Score")


class GatedScorer(BrightnessScorer):
    """A real scorer whose engine stands still while its gate is closed, and which fails on all-black images.

    Attributes:
        batches: Images per call so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self._gate = threading.Event()
        self._gate.set()

    def score_canonical(self, images: Float32Array) -> Detection:
        self.batches.append(len(images))
        assert self._gate.wait(20), "the test never opened the gate"
        if len(self.batches) > WARM_UP_BATCHES and (images.max(axis=(1, 2, 3)) == 0).any():
            raise RuntimeError("secret: black images break me")
        return super().score_canonical(images)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """The engine stands still within the block."""
        self._gate.clear()
        try:
            yield
        finally:
            self._gate.set()

    async def entered(self, batches: int) -> None:
        """Wait until the engine has been called so many times."""
        async with asyncio.timeout(20):
            while len(self.batches) < batches:  # noqa: ASYNC110 - the engine's thread knows of no event loop
                await asyncio.sleep(0.001)
