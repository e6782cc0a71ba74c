from __future__ import annotations

import contextlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.classifiers.breaker import BreakerPolicy, BreakerState, CircuitBreaker
from detector.errors import ClassifierError, UpstreamUnavailableError

POLICY = BreakerPolicy(failures=3, rest=10.0)


class Bench:
    """A breaker, the clock it looks at, and the states it told of."""

    def __init__(self, policy: BreakerPolicy = POLICY) -> None:
        self.now = 100.0
        self.states: list[BreakerState] = []
        self.breaker = CircuitBreaker(policy, clock=lambda: self.now, on_change=self.states.append)

    def state(self) -> BreakerState:
        return self.breaker.state

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.failed(self.breaker.admit())

    def refused(self) -> float:
        """Asks, is refused, and gives back when to try again."""
        with pytest.raises(UpstreamUnavailableError) as refusal:
            self.breaker.admit()
        return refusal.value.retry_after


def test_failures_in_a_row_open_it_and_an_answer_in_between_does_not_count_them_on() -> None:
    bench = Bench()
    bench.fail(2)
    bench.breaker.answered(bench.breaker.admit())
    bench.fail(2)
    assert bench.state() is BreakerState.CLOSED
    bench.fail()
    assert bench.state() is BreakerState.OPEN
    assert bench.states == [BreakerState.OPEN]


def test_open_it_refuses_and_says_when_to_try_again() -> None:
    bench = Bench()
    bench.fail(3)
    assert bench.refused() == 10.0
    bench.now += 7.5
    assert bench.refused() == 2.5


def test_after_its_rest_one_probe_is_let_through_and_an_answer_closes_it() -> None:
    bench = Bench()
    bench.fail(3)
    bench.now += 10
    probe = bench.breaker.admit()
    assert bench.state() is BreakerState.HALF_OPEN
    assert bench.refused() == POLICY.rest
    bench.breaker.answered(probe)
    bench.breaker.answered(bench.breaker.admit())
    assert bench.states == [BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]


def test_a_probe_that_fails_opens_it_for_another_rest_and_closed_again_it_counts_from_zero() -> None:
    bench = Bench()
    bench.fail(3)
    bench.now += 10
    bench.fail()
    assert bench.refused() == 10.0
    bench.now += 10
    bench.breaker.answered(bench.breaker.admit())
    bench.fail(2)
    assert bench.state() is BreakerState.CLOSED


def test_calls_from_before_it_opened_change_nothing_when_they_come_back() -> None:
    bench = Bench()
    late = [bench.breaker.admit() for _ in range(4)]
    bench.fail(3)
    bench.now += 9
    bench.breaker.answered(late[0])
    bench.breaker.failed(late[1])
    assert bench.refused() == 1.0
    bench.now += 1
    probe = bench.breaker.admit()
    bench.breaker.failed(late[2])
    bench.breaker.answered(late[3])
    assert bench.state() is BreakerState.HALF_OPEN
    bench.breaker.answered(probe)
    assert bench.state() is BreakerState.CLOSED


def test_one_failure_for_good_is_enough() -> None:
    bench = Bench()
    bench.breaker.failed(bench.breaker.admit(), for_good=True)
    assert bench.refused() == 10.0


def test_of_many_threads_one_is_the_probe() -> None:
    bench = Bench()
    bench.fail(3)
    bench.now += 10
    admitted: list[int] = []
    together = threading.Barrier(16)

    def ask() -> None:
        together.wait(20)
        with contextlib.suppress(UpstreamUnavailableError):
            admitted.append(bench.breaker.admit())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 1


@given(
    st.lists(st.tuples(st.floats(0, 4), st.booleans()), max_size=60),
    st.integers(1, 4),
)
def test_whatever_happens_it_opens_only_after_failures_in_a_row_and_always_lets_a_probe_through(
    events: list[tuple[float, bool]], failures: int
) -> None:
    bench = Bench(BreakerPolicy(failures=failures, rest=3.0))
    in_a_row, opened_at = 0, None
    for seconds, good in events:
        bench.now += seconds
        resting = opened_at is not None and bench.now < opened_at + 3.0
        if resting:
            assert bench.refused() > 0
            continue
        ticket = bench.breaker.admit()
        in_a_row = 0 if good else in_a_row + 1
        (bench.breaker.answered if good else bench.breaker.failed)(ticket)
        if good:
            opened_at = None
        elif opened_at is not None or in_a_row >= failures:
            opened_at, in_a_row = bench.now, 0
        assert (bench.state() is BreakerState.OPEN) == (opened_at is not None)


@pytest.mark.parametrize("values", [{"failures": 0}, {"rest": 0.0}, {"rest": float("nan")}])
def test_a_policy_out_of_range_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ClassifierError, match="BreakerPolicy"):
        BreakerPolicy(**values)  # type: ignore[arg-type] # an int may be given as a float here
