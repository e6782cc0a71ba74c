"""A circuit breaker: after several failures in a row nobody asks for a while, then one asks, and the answer decides.

Closed, every call is let through. Open, every call is refused at once, so that callers do not wait for what is not
there and what is in trouble is left alone. After a rest it is half-open: one call, the probe, is let through, and
closes or opens it. (M. Nygard, Release It!, 2nd edition, chapter 5.)
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from detector.errors import ClassifierError, UpstreamUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable


class BreakerState(StrEnum):
    """Whether calls are let through: all, the probe alone, or none."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(frozen=True, kw_only=True)
class BreakerPolicy:
    """When a breaker opens, and for how long.

    Args:
        failures: In a row, which open it; at least 1.
        rest: Seconds until it lets a probe through; more than 0.

    Raises:
        ClassifierError: A value is out of range.
    """

    failures: int = 5
    rest: float = 5.0

    def __post_init__(self) -> None:
        if self.failures < 1 or not self.rest > 0:
            raise ClassifierError(
                f"BreakerPolicy: failures must be at least 1 and rest more than 0, not {self.failures} and {self.rest}"
            )


class CircuitBreaker:
    """The state machine. Safe to use from several threads; nothing happens in it but by its methods.

    A call asks `admit` for a ticket, and gives it back with `answered` or `failed`, always one of them. The ticket of a
    call that began before the state last changed tells of a time that is over, and changes nothing.

    Args:
        policy: When it opens, and for how long.
        clock: Seconds that only rise.
        on_change: Is told of every new state, in the order of the changes; must be quick and not call back.
    """

    def __init__(
        self,
        policy: BreakerPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[BreakerState], None] = lambda _: None,
    ) -> None:
        self._policy, self._clock, self._on_change = policy, clock, on_change
        self._lock = threading.Lock()
        self._state = BreakerState.CLOSED
        self._turn = 0  # counts changes of the state, and is what tickets are
        self._failures = 0
        self._until = 0.0

    @property
    def state(self) -> BreakerState:
        """Open stays open until a call is admitted as the probe."""
        with self._lock:
            return self._state

    def admit(self) -> int:
        """Let a call through; gives its ticket.

        Raises:
            UpstreamUnavailableError: It is open, or the probe has not come back yet; says when to try again.
        """
        with self._lock:
            if self._state is BreakerState.CLOSED:
                return self._turn
            left = self._until - self._clock()
            if self._state is BreakerState.HALF_OPEN or left > 0:
                raise UpstreamUnavailableError(
                    "the classifier failed again and again, and is not asked for a while",
                    retry_after=left if left > 0 else self._policy.rest,
                )
            self._change(BreakerState.HALF_OPEN)
            return self._turn

    def answered(self, ticket: int) -> None:
        """The call came back with an answer, good or bad: there is somebody."""
        with self._lock:
            if ticket != self._turn:
                return
            self._failures = 0
            if self._state is BreakerState.HALF_OPEN:
                self._change(BreakerState.CLOSED)

    def failed(self, ticket: int, *, for_good: bool = False) -> None:
        """The call came back with nothing; `for_good`: so will the next ones, and one failure is enough."""
        with self._lock:
            if ticket != self._turn:
                return
            self._failures += 1
            if for_good or self._state is BreakerState.HALF_OPEN or self._failures >= self._policy.failures:
                self._failures = 0
                self._until = self._clock() + self._policy.rest
                self._change(BreakerState.OPEN)

    def _change(self, state: BreakerState) -> None:
        self._state = state
        self._turn += 1
        self._on_change(state)
