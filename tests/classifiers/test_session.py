"""Sessions of ONNX Runtime as the service wants them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.classifiers.outputs import probe_images
from detector.classifiers.session import Optimisation, only_input, open_on_cpu, open_session
from tests.support.tiny import TINY_SPEC

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET_SECONDS = 0.3


@pytest.mark.parametrize(
    "opened",
    [
        lambda model: open_session(model, threads=3).runtime,
        lambda model: open_on_cpu(model, threads=3, optimisation=Optimisation.ALL),
    ],
    ids=["on the best device", "on the CPU"],
)
def test_threads_rest_once_a_run_is_over(opened: Callable[[bytes], Any], tiny_model: bytes) -> None:
    runtime = opened(tiny_model)
    images = TINY_SPEC.encode(probe_images(TINY_SPEC, 512))
    assert np.isfinite(runtime.run(None, {only_input(runtime).name: images})[0]).all()
    before = time.process_time()
    time.sleep(QUIET_SECONDS)
    assert time.process_time() - before < QUIET_SECONDS / 4
