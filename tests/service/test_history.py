from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily

from detector.verdicts import Verdict
from service import history
from service.health import DETECTOR_SERVICE
from service.history import Between, Counts, History
from service.metrics import RpcMetrics

INFINITE = math.inf


def counts(at: float, **changes: object) -> Counts:
    fields = {"verdicts": {}, "refused": {}, "codes": {}, "calls_within": {}, "engine_seconds": 0.0}
    return Counts(at=at, **(fields | changes))  # type: ignore[arg-type]


def test_the_short_form_says_the_same() -> None:
    registry = CollectorRegistry()
    metrics = RpcMetrics(registry, latency_objective=0.25)
    metrics.seconds.labels("unary", DETECTOR_SERVICE, "Score").observe(0.3)
    metrics.handled.labels("unary", DETECTOR_SERVICE, "Score", "OK").inc()
    found = Counts.of(registry, 12.5)
    assert found.calls_within[INFINITE] == 1
    assert Counts.from_bytes(found.to_bytes()) == found
    full = counts(0.1, verdicts={"BENIGN": 3.0}, refused={"overloaded": 1.0}, engine_seconds=1 / 3)
    assert Counts.from_bytes(full.to_bytes()) == full


def test_shares_are_of_what_came_in_between() -> None:
    found = Between(
        counts(10, verdicts={"BENIGN": 100, "SUSPECT": 50, "ADVERSARIAL": 7}, engine_seconds=3),
        counts(20, verdicts={"BENIGN": 116, "SUSPECT": 53, "ADVERSARIAL": 8}, engine_seconds=8),
    )
    assert found.seconds == 10
    assert found.images == 20
    assert found.share(Verdict.SUSPECT, Verdict.ADVERSARIAL) == 4 / 20
    assert found.share(Verdict.ADVERSARIAL) == 1 / 20
    assert found.engine_share == 0.5


def test_what_did_not_occur_is_not_named() -> None:
    found = Between(
        counts(0, codes={"OK": 5, "INTERNAL": 2}, refused={"overloaded": 1}),
        counts(1, codes={"OK": 9, "INTERNAL": 2, "CANCELLED": 1}, refused={"overloaded": 1}),
    )
    assert found.codes == {"OK": 4, "CANCELLED": 1}
    assert found.refused == {}
    assert math.isnan(found.share(Verdict.SUSPECT))


def test_latency_is_taken_between_the_edges() -> None:
    first = counts(0, calls_within={0.1: 5, 0.2: 5, INFINITE: 5})
    last = counts(1, calls_within={0.1: 15, 0.2: 25, INFINITE: 25})
    found = Between(first, last)
    assert found.latency(0.25) == pytest.approx(0.05)
    assert found.latency(0.5) == pytest.approx(0.1)
    assert found.latency(0.75) == pytest.approx(0.15)
    assert found.latency(1) == pytest.approx(0.2)


def test_latency_beyond_the_last_edge_is_that_edge_and_that_of_no_calls_is_not_known() -> None:
    slow = Between(counts(0), counts(1, calls_within={0.1: 0, 0.2: 1, INFINITE: 10}))
    assert slow.latency(0.5) == 0.2
    assert math.isnan(Between(counts(0), counts(1)).latency(0.5))


def test_health_checks_and_streams_are_no_latency() -> None:
    registry = CollectorRegistry()
    metrics = RpcMetrics(registry, latency_objective=0.25)
    for kind, service in (("unary", "grpc.health.v1.Health"), ("bidi_stream", DETECTOR_SERVICE)):
        metrics.seconds.labels(kind, service, "M").observe(9)
        metrics.handled.labels(kind, service, "M", "OK").inc()
    metrics.seconds.labels("unary", DETECTOR_SERVICE, "Score").observe(0.3)
    metrics.handled.labels("unary", DETECTOR_SERVICE, "Score", "INTERNAL").inc()
    found = Between(counts(0), Counts.of(registry, 1))
    assert found.codes == {"OK": 1, "INTERNAL": 1}
    assert 0.25 < found.latency(1) <= 0.5
    assert Counts.of(registry, 1).calls_within[INFINITE] == 1


async def test_windows_reach_back_as_far_as_there_is_a_history(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    class Collector:
        seconds = 0.0

        def collect(self) -> list[HistogramMetricFamily]:
            return [HistogramMetricFamily("isthmus_engine_seconds", "", [("+Inf", 1)], self.seconds)]

        def describe(self) -> list[HistogramMetricFamily]:
            return self.collect()

    clock, collector, registry = Clock(), Collector(), CollectorRegistry()
    monkeypatch.setattr(history, "time", clock)
    registry.register(collector)
    kept = History(registry)
    try:
        for _ in range(1000):
            clock.now += history.EVERY_SECONDS
            collector.seconds += 1.0 if clock.now > 5900 else 0.0
            kept._keep(kept.now())
        clock.now += 1
        found = kept.lately()
    finally:
        await kept.close()
    assert [round(window.seconds) for window in found.values()] == [56, 296, 3596]
    assert found["last minute"].engine_share == pytest.approx(11 / 56)
    assert found["hour"].engine_share == pytest.approx(20 / 3596)
