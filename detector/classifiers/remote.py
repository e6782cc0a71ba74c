"""A classifier that runs elsewhere: split into batches, several under way at once, retried, behind a circuit breaker.

How the bytes travel is not known here: an `Endpoint` carries one batch there and its rows back.
"""

from __future__ import annotations

import logging
import math
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.classifiers.base import Answers, Float32Array, ImageSpec, OutputKind
from detector.classifiers.breaker import BreakerState, CircuitBreaker
from detector.classifiers.outputs import (
    as_rows,
    as_spec_images,
    class_names,
    detect_output_kind,
    filled,
    probe_images,
    to_logits,
)
from detector.classifiers.remote_calls import CallOutcome, CallPolicy, Unobserved
from detector.errors import ClassifierError, ClassifierMismatchError, UpstreamUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detector.bundle.canaries import Canaries
    from detector.classifiers.address import RemoteModel
    from detector.classifiers.remote_calls import Endpoint, RemoteObserver

_LOG = logging.getLogger("isthmus")


class RemoteClassifier:
    """A `Classifier` around an `Endpoint`. Has no taps. Safe to use from several threads.

    Args:
        endpoint: Carries the batches.
        model: How many images go together.
        spec: How the model wants its images.
        labels: One name per class; None means ``class_0``, ``class_1``, ...; their number is then asked for.
        output_kind: What the model puts out; None looks at its answers to a few random images.
        policy: How it is asked.
        canaries: Shown to the model after every outage, and now and then: another one may run there by now. None shows
            nothing.
        observer: Is told what happens.
        clock: Seconds that only rise.
        sleep: Waits some seconds.
        seed: Of the waits; None draws anew in each process.

    Raises:
        ClassifierError, UpstreamUnavailableError: Where it has to be asked at once: as `logits`.
    """

    tap_count = 0

    def __init__(
        self,
        endpoint: Endpoint,
        model: RemoteModel,
        spec: ImageSpec,
        *,
        labels: Sequence[str] | None = None,
        output_kind: OutputKind | None = None,
        policy: CallPolicy | None = None,
        canaries: Canaries | None = None,
        observer: RemoteObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        seed: int | None = None,
    ) -> None:
        self.spec = spec
        self._endpoint, self._model = endpoint, model
        self._policy, self._observer = policy or CallPolicy(), observer or Unobserved()
        self._canaries, self._checked_at = canaries, clock()
        self._clock, self._sleep = clock, sleep
        self._random = random.Random(seed)  # noqa: S311 - waits are no secret
        self._breaker = CircuitBreaker(self._policy.breaker, clock=clock, on_change=self._changed)
        self._observer.breaker(BreakerState.CLOSED)
        self._pool = ThreadPoolExecutor(self._policy.parallel, thread_name_prefix="upstream")
        if labels is None or output_kind is None:
            rows = self._rows(probe_images(spec))
            labels, output_kind = class_names(labels, rows.shape[1]), output_kind or detect_output_kind(rows)
        self.labels, self.output_kind = tuple(labels), output_kind
        self.description = f"{endpoint.description}, {len(self.labels)} classes"
        _LOG.info("classifier: %s", self.description)

    @property
    def breaker_state(self) -> BreakerState:
        """Whether it is asked at all."""
        return self._breaker.state

    def logits(self, images: Float32Array) -> Float32Array:
        """Classify canonical images.

        Args:
            images: float32 (N, channels, height, width), values in [0, 1], any N >= 1.

        Returns:
            float32 (N, classes): logits, or log-probabilities where the model puts out probabilities.

        Raises:
            UpstreamUnavailableError: There was no answer in time, or the breaker is open; says when to try again.
            ClassifierError: The model failed, or put out something that is not (N, classes) finite numbers.
        """
        rows = self._rows(as_spec_images(images, self.spec))
        if rows.shape[1] != len(self.labels):
            raise ClassifierError(
                f"{self._endpoint.description}: put out {rows.shape[1]} classes instead of {len(self.labels)}"
            )
        return to_logits(rows, self.output_kind)

    def answers(self, images: Float32Array) -> Answers:
        """As `logits`; a remote model has no taps."""
        return Answers(self.logits(images), np.empty((len(images), 0), np.float32))

    def close(self) -> None:
        """Let go of the connection; calls under way are given up, and the breaker counts as closed."""
        self._observer.breaker(BreakerState.CLOSED)
        self._endpoint.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _rows(self, images: Float32Array) -> Float32Array:
        size = self._model.batch
        batches = [images[at : at + size] for at in range(0, len(images), size)]
        if len(batches) == 1:
            return self._batch(batches[0])
        first = []
        if self._breaker.state is not BreakerState.CLOSED:  # one goes ahead as the probe, else the others were refused
            first = [self._batch(batches.pop(0))]
        under_way = [self._pool.submit(self._batch, batch) for batch in batches]
        try:
            return _joined([*first, *(answer.result() for answer in under_way)], self._endpoint.description)
        finally:
            for answer in under_way:  # of a request that has failed; does nothing to finished ones
                answer.cancel()

    def _batch(self, images: Float32Array) -> Float32Array:
        """The rows of at most a batch of images, asked for until there is an answer or no time."""
        batch = self._encoded(images)
        deadline = self._clock() + self._policy.timeout
        tries = 0
        while True:
            ticket = self._breaker.admit()
            try:
                return self._try(batch, ticket, deadline)[: len(images)]
            except UpstreamUnavailableError as error:
                wait = max(self._wait(tries), error.retry_after)
                shut = self._breaker.state is BreakerState.OPEN  # then there is nothing to wait for
                last = shut or tries == self._policy.retries or self._clock() + wait >= deadline
                _LOG.warning("classifier: %s%s", error, "" if last else f"; trying again in {wait:.2f} s")
                if last:
                    soon = error.retry_after or (self._policy.breaker.rest if shut else self._policy.longest_wait)
                    raise UpstreamUnavailableError(str(error), retry_after=soon) from error
                tries += 1
                self._sleep(wait)
                self._observer.retried()

    def _try(self, batch: NDArray[Any], ticket: int, deadline: float) -> Float32Array:
        """One call, after one that shows the canaries where that is due; told to the breaker."""
        try:
            if self._is_check_due():
                self._check(deadline)
            rows = self._call(batch, deadline)
        except ClassifierMismatchError as error:
            self._observer.checked(error.deviation)
            self._breaker.failed(ticket, for_good=True)
            raise UpstreamUnavailableError(
                f"{self._endpoint.description}: {error}", retry_after=self._policy.breaker.rest
            ) from error
        except ClassifierError:
            self._breaker.answered(ticket)
            raise
        except BaseException:
            self._breaker.failed(ticket)
            raise
        self._breaker.answered(ticket)
        return rows

    def _call(self, batch: NDArray[Any], deadline: float) -> Float32Array:
        """One call, told to the observer."""
        started, outcome = self._clock(), CallOutcome.UNAVAILABLE
        try:
            output = self._endpoint.infer(batch, timeout=max(deadline - started, 0))
            rows = as_rows(output, len(batch), self._endpoint.description)
            outcome = CallOutcome.OK
        except ClassifierError:
            outcome = CallOutcome.FAILED
            raise
        finally:
            self._observer.called(outcome, self._clock() - started)
        return rows

    def _is_check_due(self) -> bool:
        """Whether the canaries have to be shown now: nobody else is let through where this is the breaker's probe."""
        if self._canaries is None:
            return False
        interval = self._policy.check_interval
        late = interval > 0 and self._clock() - self._checked_at >= interval
        return late or self._breaker.state is BreakerState.HALF_OPEN

    def _check(self, deadline: float) -> None:
        """Show the canaries, as many as go into one batch."""
        if self._canaries is None:
            return
        self._checked_at = self._clock()  # at once, so that no other thread does the same
        some = self._canaries[: self._model.batch]
        try:
            rows = self._call(self._encoded(some.images), deadline)[: len(some.images)]
        except UpstreamUnavailableError:
            self._checked_at = -math.inf
            raise
        except ClassifierError as error:
            raise ClassifierMismatchError(f"it can't answer the canaries: {error}") from error
        if rows.shape[1] != some.logits.shape[1]:
            raise ClassifierMismatchError(f"it has {rows.shape[1]} classes instead of {some.logits.shape[1]}")
        found = some.check(to_logits(rows, self.output_kind))
        self._observer.checked(float(found.max()))

    def _encoded(self, images: Float32Array) -> NDArray[Any]:
        """Images as the model takes them; of a fixed batch, as many as it takes."""
        return self.spec.encode(filled(images, self._model.batch if self._model.fixed_batch else 1))

    def _wait(self, tries: int) -> float:
        """Seconds before the next try, of which there were `tries` already."""
        return self._random.uniform(0, min(self._policy.longest_wait, self._policy.first_wait * 2.0**tries))

    def _changed(self, state: BreakerState) -> None:
        self._observer.breaker(state)
        _LOG.warning("classifier: %s: the circuit breaker is %s", self._endpoint.description, state.replace("_", "-"))


def _joined(parts: Sequence[Float32Array], name: str) -> Float32Array:
    if len({part.shape[1] for part in parts}) > 1:
        raise ClassifierError(f"{name}: put out different numbers of classes for different batches")
    return np.concatenate(parts)
