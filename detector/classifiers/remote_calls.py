"""What lies between a remote classifier and who asks it: the way there, who is told of calls, and how to ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from detector.classifiers.breaker import BreakerPolicy, BreakerState
from detector.errors import ClassifierError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.address import RemoteModel
    from detector.classifiers.base import PixelType


class Endpoint(Protocol):
    """Carries batches to a classifier. Safe to use from several threads."""

    @property
    def description(self) -> str:
        """Where it leads, for people."""
        ...

    def infer(self, batch: NDArray[Any], *, timeout: float) -> NDArray[Any]:
        """Ask once.

        Args:
            batch: As the classifier takes it, (N, *input shape).
            timeout: Seconds after which the answer is not wanted any more.

        Returns:
            What it put out, of any float type; shape and values are checked by who asked.

        Raises:
            UpstreamUnavailableError: There was no answer, and the same call may get one later; `retry_after` is what
                the other side said of when, 0 where it said nothing.
            ClassifierError: It answered with an error, or with something that is no answer.
        """
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(frozen=True)
class DeclaredModel:
    """A model behind an endpoint, before it is known how it wants its images.

    Args:
        endpoint: Leads to it.
        model: What a bundle keeps of it.
        shape: Shape of its input, batch first; None stands for sizes it leaves open.
        dtype: Element type of its input.
        any_batch: Whether nobody said how many images go together: `model.batch` is then no more than a limit.
    """

    endpoint: Endpoint
    model: RemoteModel
    shape: tuple[int | None, ...]
    dtype: PixelType
    any_batch: bool


class CallOutcome(StrEnum):
    """How a call ended: with rows, with no answer, or with a bad one."""

    OK = "ok"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


class RemoteObserver(Protocol):
    """Is told what happens between here and there; from several threads."""

    def called(self, outcome: CallOutcome, seconds: float) -> None:
        """A call ended."""

    def retried(self) -> None:
        """A call is made again."""

    def breaker(self, state: BreakerState) -> None:
        """The breaker is in another state."""

    def checked(self, deviation: float) -> None:
        """The canaries were shown, and answered: how far from the stored answers, where 1 is what is allowed."""


class Unobserved:
    """A `RemoteObserver` that looks away."""

    def called(self, outcome: CallOutcome, seconds: float) -> None:
        """Nothing."""

    def retried(self) -> None:
        """Nothing."""

    def breaker(self, state: BreakerState) -> None:
        """Nothing."""

    def checked(self, deviation: float) -> None:
        """Nothing."""


@dataclass(frozen=True, kw_only=True)
class CallPolicy:
    """How a remote classifier is asked.

    Between two tries of a batch it waits a random time up to ``first_wait * 2**k``, at most `longest_wait`, so that
    many who failed together do not come back together.

    Args:
        timeout: Seconds a batch may take, all its tries and the waits between them included.
        retries: Further tries after the first, at most.
        first_wait: Seconds, at most, before the first of them.
        longest_wait: Seconds, at most, before any.
        parallel: Batches under way at once.
        check_interval: Seconds between two calls that show the canaries; 0 shows them after an outage alone.
        breaker: When to stop asking altogether.

    Raises:
        ClassifierError: A value is out of range.
    """

    timeout: float = 10.0
    retries: int = 3
    first_wait: float = 0.1
    longest_wait: float = 2.0
    parallel: int = 4
    check_interval: float = 60.0
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)

    def __post_init__(self) -> None:
        if not (self.timeout > 0 and self.first_wait > 0 and self.longest_wait >= self.first_wait):
            raise ClassifierError("CallPolicy: timeout and first_wait must be more than 0, longest_wait no less")
        if self.retries < 0 or self.parallel < 1:
            raise ClassifierError(
                f"CallPolicy: retries must not be negative and parallel at least 1, not {self.retries}, {self.parallel}"
            )
