"""The operator's page: what is loaded, what was answered lately, and what was flagged. Images are not on it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from detector.reporting.html import Cell, element, page, table
from detector.reporting.page_style import BASE_STYLE
from detector.verdicts import Verdict
from detector.versions import project_version
from service.history import EVERY_SECONDS, WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from markupsafe import Markup
    from prometheus_client import CollectorRegistry

    from service.flagged import FlaggedImage, RecentFlagged
    from service.guard import GuardSlot
    from service.health import HealthServicer
    from service.history import Between, History
    from service.ports import LoadedBundle
    from service.settings import ServiceSettings

_REFRESH_SECONDS: Final = 5
_FLAGGED: Final = (Verdict.SUSPECT, Verdict.ADVERSARIAL)
# Benign traffic passes it in one window of a thousand (docs/metrics.md).
_DRIFT_LIMIT: Final = 1.95
_UNITS: Final = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_STYLE: Final = (
    BASE_STYLE
    + """
h1 small{font-weight:400;font-size:1rem;color:var(--muted);margin-left:.6rem}
.state{display:inline-block;padding:.1rem .7rem;border-radius:1rem;font-size:1rem;vertical-align:.2rem;
color:var(--paper);background:var(--muted)}
.serving,.ADVERSARIAL{background:var(--good)}
.ADVERSARIAL,.bad{background:var(--bad);color:var(--paper)}
.SUSPECT{background:var(--c5);color:var(--paper)}
.ADVERSARIAL,.SUSPECT,.bad{border-radius:.3rem;padding:0 .4rem}
table{min-width:60%}
td.text,th.text{text-align:left}
td.wide{white-space:normal;overflow-wrap:anywhere}
.none{color:var(--muted)}
"""
)


@dataclass(frozen=True)
class OperatorPage:
    """Draws the page, from any thread.

    Args:
        settings: Of the server.
        registry: Its metrics.
        health: Whether it answers.
        slot: Where its guard is.
        recent: What was flagged.
        history: What was counted lately.
    """

    settings: ServiceSettings
    registry: CollectorRegistry
    health: HealthServicer
    slot: GuardSlot
    recent: RecentFlagged
    history: History

    def __call__(self) -> str:
        """The page as it is now: HTML that loads nothing, and itself again every few seconds."""
        bundle = self.slot.guard.bundle if self.slot.loaded else None
        return page(
            f"isthmus: {self.health.state}",
            _STYLE,
            element(
                "h1",
                "Isthmus ",
                element("span", self.health.state, class_=f"state {self.health.state}"),
                element("small", f"version {project_version()}; as of {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"),
            ),
            *self._sections(bundle),
            refresh=_REFRESH_SECONDS,
        )

    def _sections(self, bundle: LoadedBundle | None) -> Iterable[Markup]:
        if bundle is None:
            yield element(
                "p", f"Loading {self.settings.bundle}: requests are refused as UNAVAILABLE until it is ready."
            )
        else:
            yield element("h2", "Now")
            yield _facts(self._now())
            yield element("h2", "Lately")
            yield _lately(self.history.lately(), bundle)
            yield element("h2", "Detector")
            yield _facts(self._detector(bundle))
            yield element("h2", "Flagged")
            yield _flagged(self.recent.newest_first())
        yield element("p", "All numbers: ", element("a", "/metrics", href="/metrics"), class_="none")

    def _value(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(name, labels)
        return math.nan if found is None else found

    def _now(self) -> dict[str, object]:
        drift = self._value("isthmus_p_value_drift")
        drift_images = self._value("isthmus_p_value_drift_images")
        failed = self._value("isthmus_canary_checks_total", outcome="failed")
        passed = self._value("isthmus_canary_checks_total", outcome="passed")
        deviation = self._value("isthmus_canary_deviation_ratio")
        canaries = f"{failed:.0f} failed, {passed:.0f} passed; newest at {deviation:.0%} of what rounding may do"
        queue, limit = self._value("isthmus_queue_images"), self._value("isthmus_queue_limit_images")
        known = f"{drift:.2f} over {drift_images:.0f} images; benign ones pass {_DRIFT_LIMIT} once in a thousand times"
        facts = {
            "queue": f"{queue:.0f} of {limit:.0f} images",
            "p-value drift": _marked(known, bad=drift > _DRIFT_LIMIT)
            if math.isfinite(drift)
            else f"not known yet, after {drift_images:.0f} images",
            "canaries": _marked(canaries, bad=failed > 0),
        }
        breaker = self._value("isthmus_upstream_breaker_state")
        if math.isfinite(breaker):
            facts["circuit breaker"] = _marked(("closed", "half-open", "open")[int(breaker)], bad=breaker > 0)
        return facts

    def _detector(self, bundle: LoadedBundle) -> dict[str, object]:
        manifest = bundle.manifest
        loaded = self._value("isthmus_bundle_loaded_timestamp_seconds")
        written = self._value("isthmus_bundle_written_timestamp_seconds")
        return {
            "bundle": str(self.settings.bundle),
            "digest": bundle.digest,
            "classifier": f"{len(manifest.labels)} classes, images of {' x '.join(map(str, manifest.spec.shape))}"
            + (f", at {manifest.remote.url}" if manifest.remote else ""),
            "scorer": manifest.calibration.scorer,
            "calibrated on": f"{manifest.calibration.images} images",
            "cost": f"{manifest.plan.forwards_per_image} forwards per image",
            "policy": str(self.settings.policy),
            "written": _ago(written),
            "loaded": _ago(loaded),
        }


def _lately(windows: Mapping[str, Between], bundle: LoadedBundle) -> Markup:
    rates = bundle.manifest.rates
    rows: tuple[tuple[str, Callable[[Between], object]], ...] = (
        ("images per second", lambda found: _number(found.images / found.seconds)),
        (f"flagged; of benign images {rates.suspect:.1%}", lambda found: _share(found.share(*_FLAGGED))),
        (
            f"ADVERSARIAL; of benign images {rates.adversarial:.1%}",
            lambda found: _share(found.share(Verdict.ADVERSARIAL)),
        ),
        ("images without a score", lambda found: _counts(found.refused)),
        ("calls", lambda found: _counts(found.codes)),
        ("half of the calls within", lambda found: _milliseconds(found.latency(0.5))),
        ("99 % of the calls within", lambda found: _milliseconds(found.latency(0.99))),
        ("engine at work", lambda found: _share(found.engine_share)),
    )
    body = ([Cell(name, "th", {"scope": "row"}), *map(value, windows.values())] for name, value in rows)
    head = ["", *(_titled(name, found) for name, found in windows.items())]
    return element("div", table(body, head), class_="scroll")


def _titled(name: str, found: Between) -> str:
    """A window's name; one that began before the server did says for how long there was something to count."""
    return name if found.seconds > WINDOWS[name] - EVERY_SECONDS else f"{name}, so far {found.seconds:.0f} s"


def _flagged(images: list[FlaggedImage]) -> Markup:
    if not images:
        return element("p", "Nothing since the start.", class_="none")
    rows = (
        (
            Cell(image.time.partition("+")[0].replace("T", " "), attributes={"class_": "text"}),
            Cell(element("span", image.verdict, class_=image.verdict), attributes={"class_": "text"}),
            Cell(image.label + (" (withheld)" if image.withheld else ""), attributes={"class_": "text wide"}),
            f"{image.p_value:.2g}",
            f"{image.score:.2f}",
            Cell(image.caller, attributes={"class_": "text wide"}),
            Cell(f"{image.request_id} [{image.image}]", attributes={"class_": "text wide"}),
        )
        for image in images
    )
    left = {"class_": "text"}
    head = (
        *(Cell(name, attributes=left) for name in ("time, UTC", "verdict", "predicted class")),
        *("p-value", "score"),
        *(Cell(name, attributes=left) for name in ("caller", "request [image]")),
    )
    return element("div", table(rows, head), class_="scroll")


def _facts(facts: Mapping[str, object]) -> Markup:
    wide = {"class_": "text wide"}
    return table([Cell(name, "th", {"scope": "row"}), Cell(fact, attributes=wide)] for name, fact in facts.items())


def _marked(text: str, *, bad: bool) -> object:
    return element("span", text, class_="bad") if bad else text


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"  # noqa: PLR2004 - from here on, fractions are noise


def _share(value: float) -> str:
    return f"{value:.1%}" if math.isfinite(value) else "-"


def _milliseconds(seconds: float) -> str:
    return f"{_number(1000 * seconds)} ms" if math.isfinite(seconds) else "-"


def _counts(counts: Mapping[str, float]) -> str:
    return ", ".join(f"{count:,.0f} {name}" for name, count in counts.items()) or "0"


def _ago(moment: float) -> str:
    if not math.isfinite(moment):
        return "not known"
    seconds = max(time.time() - moment, 0)
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= size), _UNITS[-1])
    count = int(seconds // size)
    return f"{count} {unit}{'' if count == 1 else 's'} ago ({datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC)"
