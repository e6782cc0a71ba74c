"""What was counted lately: the metrics' counters, written down now and then, for who has no Prometheus at hand."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.health import DETECTOR_SERVICE, INFERENCE_SERVICE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import CollectorRegistry

    from detector.verdicts import Verdict

WINDOWS: Final = {"last minute": 60.0, "5 minutes": 300.0, "hour": 3600.0}
EVERY_SECONDS: Final = 5.0
_SERVICES: Final = (DETECTOR_SERVICE, INFERENCE_SERVICE)
_READ: Final = (
    "isthmus_verdicts_total",
    "isthmus_rejected_images_total",
    "isthmus_engine_seconds_sum",
    "grpc_server_handled_total",
    "grpc_server_handling_seconds_bucket",
)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """All that was counted until a moment.

    Args:
        at: The moment, seconds on a clock that does not jump.
        verdicts: Images by verdict.
        refused: Images without a score, by reason.
        codes: Calls of the detector's and the Open Inference Protocol's service, by status code.
        calls_within: Unary ones among them, by the seconds they took at most: the edges of the histogram.
        engine_seconds: For which the engine worked.
    """

    at: float
    verdicts: Mapping[str, float]
    refused: Mapping[str, float]
    codes: Mapping[str, float]
    calls_within: Mapping[float, float]
    engine_seconds: float

    @classmethod
    def of(cls, registry: CollectorRegistry, at: float) -> Counts:
        """What the metrics say now."""
        found: dict[str, dict[Any, float]] = {name: defaultdict(float) for name in _READ}
        for family in registry.restricted_registry(_READ).collect():
            for sample in family.samples:
                if sample.name in found and sample.labels.get("grpc_service", DETECTOR_SERVICE) in _SERVICES:
                    found[sample.name][_key(sample.labels)] += sample.value
        verdicts, refused, engine, codes, within = found.values()
        within.pop(None, None)
        return cls(
            at=at, verdicts=verdicts, refused=refused, codes=codes, calls_within=within, engine_seconds=_sum(engine)
        )

    def to_bytes(self) -> bytes:
        """A short form that `from_bytes` reads back.

        Small objects, kept by the hundred, would each hold on to a page of what was in use when they were made.
        """
        counted = (self.verdicts, self.refused, self.codes, self.calls_within)
        return json.dumps([self.at, *(list(part.items()) for part in counted), self.engine_seconds]).encode()

    @classmethod
    def from_bytes(cls, written: bytes) -> Counts:
        """Read what `to_bytes` wrote."""
        at, *counted, engine_seconds = json.loads(written)
        verdicts, refused, codes, within = map(dict, counted)
        return cls(
            at=at, verdicts=verdicts, refused=refused, codes=codes, calls_within=within, engine_seconds=engine_seconds
        )


@dataclass(frozen=True)
class Between:
    """What was counted between two moments, the second one later."""

    first: Counts
    last: Counts

    @property
    def seconds(self) -> float:
        """How long that was."""
        return self.last.at - self.first.at

    @property
    def images(self) -> float:
        """Images scored."""
        return _sum(_grown(self.first.verdicts, self.last.verdicts))

    @property
    def refused(self) -> Mapping[str, float]:
        """Images without a score, by reason, those that occurred alone."""
        return _grown(self.first.refused, self.last.refused)

    @property
    def codes(self) -> Mapping[str, float]:
        """Calls by status code, those that occurred alone."""
        return _grown(self.first.codes, self.last.codes)

    @property
    def engine_share(self) -> float:
        """The share of the time for which the engine worked, 0..1."""
        return (self.last.engine_seconds - self.first.engine_seconds) / self.seconds

    def share(self, *verdicts: Verdict) -> float:
        """The share of the images with one of these verdicts, 0..1; NaN for no images."""
        grown = _grown(self.first.verdicts, self.last.verdicts)
        return sum(grown.get(verdict, 0) for verdict in verdicts) / self.images if self.images else math.nan

    def latency(self, quantile: float) -> float:
        """Seconds within which this share of the unary calls ended, between two edges in proportion; NaN for none.

        As `histogram_quantile` of Prometheus has it, the last finite edge where it lies beyond.
        """
        grown = {edge: self.last.calls_within[edge] - self.first.calls_within.get(edge, 0) for edge in self._edges}
        wanted = quantile * max(grown.values(), default=0)
        if not wanted:
            return math.nan
        below, ended = 0.0, 0.0
        for edge, within in grown.items():
            if within >= wanted:
                return below if math.isinf(edge) else below + (edge - below) * (wanted - ended) / (within - ended)
            below, ended = edge, within
        raise AssertionError("the last edge is infinite and holds all calls")

    @property
    def _edges(self) -> list[float]:
        return sorted(self.last.calls_within)


class History:
    """Writes the counts down, every few seconds for an hour, from when it is made on an event loop.

    Args:
        registry: Where they are.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        # When, and what: the bytes of `Counts`.
        self._kept: deque[tuple[float, bytes]] = deque(maxlen=int(max(WINDOWS.values()) / EVERY_SECONDS) + 1)
        self._keep(self.now())
        self._task = asyncio.ensure_future(self._write_down())

    def now(self) -> Counts:
        """The counts of this moment."""
        return Counts.of(self._registry, time.monotonic())

    def lately(self) -> dict[str, Between]:
        """What was counted in each of `WINDOWS`, or for as long as there is a history."""
        now, kept = self.now(), list(self._kept.copy())
        first = {name: _first_since(kept, now.at - seconds) for name, seconds in WINDOWS.items()}
        return {name: Between(Counts.from_bytes(written), now) for name, written in first.items()}

    async def close(self) -> None:
        """Write no more down."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _write_down(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            self._keep(await asyncio.to_thread(self.now))

    def _keep(self, counts: Counts) -> None:
        self._kept.append((counts.at, counts.to_bytes()))


def _key(labels: Mapping[str, str]) -> str | float | None:
    """By what a sample is told apart here; calls that are streams end when their caller likes: they have no latency."""
    if "le" in labels:
        return float(labels["le"]) if labels.get("grpc_type", "unary") == "unary" else None
    return next((labels[name] for name in ("verdict", "reason", "grpc_code") if name in labels), "")


def _grown(first: Mapping[str, float], last: Mapping[str, float]) -> dict[str, float]:
    return {key: more for key, value in last.items() if (more := value - first.get(key, 0)) > 0}


def _sum(counts: Mapping[str, float]) -> float:
    return sum(counts.values())


def _first_since(kept: list[tuple[float, bytes]], moment: float) -> bytes:
    return next((written for at, written in kept if at >= moment), kept[-1][1])
