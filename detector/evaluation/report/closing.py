"""The last sections: limits, facts, glossary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from detector.reporting import numbers
from detector.reporting.html import element, joined
from detector.reporting.parts import Section, paragraph, row_head, wide, words

if TYPE_CHECKING:
    from detector.evaluation.results import EvaluationResults

_VERDICT = (
    "A verdict is evidence, not an oracle. An attacker who knows this guard and optimises against it can evade it."
)
_GLOSSARY: Final = {
    "attack, success": "A changed image that the classifier, which got the original right, now gets wrong.",
    "AUROC": "The chance that an attacked image scores higher than a benign one; 0.5 is a coin, 1 is perfect.",
    "benign": "Nobody attacked it.",
    "FPR": "False-positive rate: the share of benign images that are flagged.",
    "TPR at 5%": "True-positive rate: the share of attacked images flagged at the threshold meant for 5% false alarms.",
    "forwards": "How often the classifier is asked per image, the prediction itself included.",
    "included, left out": "Whether the scorer's training saw the attack and its kin.",
    "interval": "95%: of a hundred evaluations like this one, about 95 would catch the true value in it.",
    "kin": "Attacks so alike that knowing one is knowing the other; they are left out together.",
    "path loss": "How far the classifier is from its own first answer at a point between the image and a path's end.",
    "prototype": "A made image that the classifier is sure about; paths lead there from the image.",
    "p-value": "The chance that a benign image of this predicted class scores at least this high.",
    "score": "A number per image; higher means more adversarial.",
    "SUSPECT, ADVERSARIAL": "Verdicts: the p-value is at most the first, or the second and smaller, target rate.",
    "SR@5, SR@50": "Share of images that an attacker gets past classifier and guard, at 5% or 50% false alarms.",
    "worst": "Of the attack, or class, that the guard handles worst.",
}


def limits(results: EvaluationResults) -> Section:
    """What the guard does not do."""
    found = [element("ul", *(element("li", text) for text in results.limits))] if results.limits else []
    return Section.of("limits", "What the guard does not do", *found, paragraph(_VERDICT))


def facts(results: EvaluationResults) -> Section:
    """What was evaluated, on what, with what."""
    title = "How this was measured"
    if not results.facts:
        return Section.of("facts", title, paragraph("Nothing was recorded."))
    rows = [(row_head(str(name).replace("_", " ")), words(_written(value))) for name, value in results.facts.items()]
    return Section.of("facts", title, wide((), rows))


def _written(value: Any) -> str:
    """Values of any depth on one line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{str(name).replace('_', ' ')}: {_written(inner)}" for name, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_written, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return numbers.NOTHING if value is None else str(value)


def glossary() -> Section:
    """The words of the report."""
    entries = joined(element("dt", name) + element("dd", meaning) for name, meaning in _GLOSSARY.items())
    return Section.of("glossary", "Glossary", element("dl", entries))
