"""What tuning decided, for people: a line each, quality against cost as a chart, and all that was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detector.calibration.tuning.decisions import Subject, TuningDecision
from detector.reporting import numbers
from detector.reporting.drawing import INK, SERIES, chart, figure
from detector.reporting.html import element
from detector.reporting.parts import paragraph, row_head, wide, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

_ON_PATHS = (Subject.PROTOTYPES, Subject.ALPHAS, Subject.SMOOTHNESS)
"""Subjects whose candidates differ in what they cost, or might, and are measured alike."""
_NOTE = (
    "Chosen by measurement on images that fit the scorer alone; neither those that calibrate the p-values nor any test "
    "image had a part in it. Of all candidates that are no worse than the best by more than one standard error of the "
    "difference, the cheapest is taken. Intervals are of 95 %."
)
_CAPTION = (
    "What was tried: quality against classifier forwards per image, the whole guard's. What was chosen is ringed. The "
    "bars are 95 % intervals; differences on the same images are surer than they look."
)


def recorded(provenance: Mapping[str, Any]) -> tuple[tuple[TuningDecision, ...], tuple[str, ...]]:
    """The decisions that a manifest's provenance records, and what could not be decided; none without tuning.

    Raises:
        CalibrationError: A field is missing or out of range.
    """
    tuning = provenance.get("tuning")
    if tuning is None:
        return (), ()
    return tuple(map(TuningDecision.from_json, tuning["decisions"])), tuple(tuning["missing"])


def tuning_body(decisions: Sequence[TuningDecision], missing: Sequence[str]) -> tuple[Markup, ...]:
    """What stands in a section on tuning.

    Args:
        decisions: At least one.
        missing: What could not be decided, and why.
    """
    rows = [(row_head(one.subject.value), words(one.chosen), words(one.why), words(one.images)) for one in decisions]
    on_paths = [one for one in decisions if one.subject in _ON_PATHS]
    return (
        paragraph(_NOTE),
        wide(("what", words("chosen"), words("why"), words("measured on")), rows),
        *(paragraph(f"Also: {sentence}.") for sentence in missing),
        *([figure(quality_against_cost(on_paths), _CAPTION)] if on_paths else []),
        *(part for one in decisions for part in _candidates(one)),
    )


def quality_against_cost(decisions: Sequence[TuningDecision]) -> Markup:
    """Every candidate at its cost, with its interval; at least one decision, all of the same measure."""

    def paint(drawing: Figure) -> None:
        axis = drawing.subplots()
        for number, decision in enumerate(decisions):
            shift = 0.14 * (number - (len(decisions) - 1) / 2)  # of a forward, lest bars lie on each other
            for one in decision.candidates:
                at, chosen = one.forwards + shift, one.name == decision.chosen
                axis.plot([at, at], [one.quality.low, one.quality.high], color=SERIES[number], linewidth=0.8, alpha=0.5)
                axis.plot(
                    at, one.quality.value, "o", color=SERIES[number], markersize=5, alpha=0.4 if one.barred else 1
                )
                if chosen:
                    axis.plot(at, one.quality.value, "o", color=INK, markerfacecolor="none", markersize=10)
            axis.plot([], [], "o", color=SERIES[number], label=decision.subject.value)
        axis.set_xlabel("classifier forwards per image")
        axis.set_ylabel("mean AUROC")
        drawing.legend(loc="outside upper center", ncols=len(decisions))

    text = "; ".join(f"{one.subject.value}: {one.chosen}, at {one.choice.quality.value:.3f}" for one in decisions)
    return chart("tuning", f"Quality against cost of what was tried. Chosen: {text}", (9, 4.6), paint)


def _candidates(decision: TuningDecision) -> tuple[Markup, Markup]:
    head = (words(decision.subject.value), "forwards", "quality", "behind", words("worst"), words("may not be chosen"))
    rows = [
        (
            row_head(f"{one.name} (chosen)" if one.name == decision.chosen else one.name, long=True),
            one.forwards,
            numbers.estimate(one.quality),
            f"{one.behind:.4f} \N{PLUS-MINUS SIGN} {one.behind_error:.4f}",
            words(one.worst or numbers.NOTHING),
            words(one.barred or numbers.NOTHING),
        )
        for one in decision.candidates
    ]
    return element("h3", decision.subject.value.capitalize(), f": {decision.measure}"), wide(head, rows)
