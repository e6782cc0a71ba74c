"""An endpoint that leads nowhere but to arithmetic, fails as it is told to, and the time that passes meanwhile."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.classifiers.address import RemoteModel
from detector.classifiers.base import ImageSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.classifiers.breaker import BreakerState
    from detector.classifiers.remote_calls import CallOutcome

SPEC = ImageSpec(height=4, width=4)
WEIGHTS = np.random.default_rng(3).standard_normal((48, 5)).astype(np.float32)


def formula(images: NDArray[Any]) -> Float32Array:
    """What the endpoint's classifier answers: float32 (N, 5)."""
    return images.reshape(len(images), -1).astype(np.float32) @ WEIGHTS


def arithmetic_model(batch: int = 8, *, fixed_batch: bool = False) -> RemoteModel:
    """What a bundle would keep of it."""
    return RemoteModel(
        target="nowhere:1",
        tls=False,
        model="arithmetic",
        version="",
        input="images",
        output="logits",
        batch=batch,
        fixed_batch=fixed_batch,
    )


class ArithmeticEndpoint:
    """Implements `Endpoint`, and has a clock of its own, which moves as calls and waits take their time.

    Attributes:
        now: Seconds.
        takes: Seconds a call takes.
        failures: Errors of the next calls, in their order; None lets one through.
        down: An error of all calls from now on.
        shift: Added to all answers.
        batches: Images per call.
        timeouts: Of every call, seconds.
        waits: Seconds slept between calls.
    """

    description = "arithmetic"

    def __init__(self) -> None:
        self.now, self.takes = 1000.0, 0.0
        self.failures: deque[Exception | None] = deque()
        self.down: Exception | None = None
        self.shift = np.zeros(5, np.float32)
        self.batches: list[int] = []
        self.timeouts: list[float] = []
        self.waits: list[float] = []
        self.closed = False
        self._lock = threading.Lock()

    def infer(self, batch: NDArray[Any], *, timeout: float) -> NDArray[Any]:
        with self._lock:
            self.batches.append(len(batch))
            self.timeouts.append(timeout)
            self.now += self.takes
            error = self.failures.popleft() if self.failures else self.down
        if error is not None:
            raise error
        return formula(batch) + self.shift

    def close(self) -> None:
        self.closed = True

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Tally:
    """A `RemoteObserver` that writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[CallOutcome, float]] = []
        self.retries = 0
        self.states: list[BreakerState] = []

    def called(self, outcome: CallOutcome, seconds: float) -> None:
        self.calls.append((outcome, seconds))

    def retried(self) -> None:
        self.retries += 1

    def breaker(self, state: BreakerState) -> None:
        self.states.append(state)
