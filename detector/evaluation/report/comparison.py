"""Sections that compare: what every channel adds, and other detectors on the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.evaluation.report import contenders
from detector.evaluation.report.bars import channel_bars
from detector.evaluation.report.front import quality_cost
from detector.reporting import numbers
from detector.reporting.drawing import figure
from detector.reporting.html import element, joined
from detector.reporting.parts import Section, paragraph, row_head, shaded_score, shaded_share, wide, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from detector.evaluation.report.contenders import Contender, Overall
    from detector.evaluation.results import EvaluationResults


def channels(results: EvaluationResults) -> Section:
    """The guard with ever more evidence."""
    title = "What every channel adds"
    ours = contenders.channels(results)
    if not ours:
        return Section.of("channels", title, paragraph("The guard was not measured with less evidence."))
    note = (
        "The guard with ever more of its evidence, each set fitted and calibrated in the same way. The gain is in mean "
        "AUROC, over the row above and over the first row. Rows below the whole guard are parts of it that cost less."
    )
    gains = ("gain", "over the first")
    head = ("evidence", *COST, *QUALITY, *gains, *QUALITY, *gains)
    groups = (("", 3), ("attacks included in training", 5), ("kin left out of training", 5))
    rows = [
        [
            row_head(one.name),
            *cost(one),
            *quality(one.included),
            _gain(one.included, before.included if number else None),
            _gain(one.included, ours[0].included if number else None),
            *quality(one.left_out),
            _gain(one.left_out, before.left_out if number else None),
            _gain(one.left_out, ours[0].left_out if number else None),
        ]
        for number, (one, before) in enumerate(zip(ours, [ours[0], *ours], strict=False))
    ]
    caption = "Mean AUROC from chance upwards, and the cost of each set in classifier forwards per image."
    return Section.of("channels", title, paragraph(note), wide(head, rows, groups), figure(channel_bars(ours), caption))


def peers(results: EvaluationResults) -> Section:
    """Other detectors beside the guard, in sum, over cost, and attack by attack."""
    title = "Peers, and quality against cost"
    others = contenders.peers(results)
    guard = contenders.guard(results)
    everyone = [guard, *contenders.channels(results), *others]
    front = []
    if any(one.attacks or one.unseen for one in everyone):
        caption = (
            "Mean AUROC (filled) and the worst attack's (hollow), on a logarithmic axis of cost; the dashed line is "
            "the best mean to be had for a cost. Detectors that learn from no attack stand equally high in both panels."
        )
        front.append(figure(quality_cost(everyone), caption))
    if not others:
        return Section.of("peers", title, paragraph("No other detector was run."), *front)
    note = (
        "Other detectors on the same images, with thresholds set in the same way on the same calibration images. Those "
        "marked as learning from attacks are left without an attack's kin in the columns left out, as the guard is."
    )
    head = ("detector", words("learns from attacks"), *COST, *QUALITY, *QUALITY, "benign images flagged")
    groups = (("", 4), ("attacks included in training", 3), ("kin left out of training", 3), ("", 1))
    rows = [
        [
            row_head(joined([one.name, element("small", one.source)] if one.source else [one.name])),
            words("yes" if one.needs_attacks else "no"),
            *cost(one),
            *quality(one.included),
            *quality(one.left_out),
            numbers.realised(one.false_positives),
        ]
        for one in (guard, *others)
    ]
    return Section.of("peers", title, paragraph(note), wide(head, rows, groups), *front, *_matrix([guard, *others]))


def _matrix(everyone: Sequence[Contender]) -> list[Markup]:
    names = list(dict.fromkeys(name for one in everyone for name in one.attacks))
    if not names:
        return []
    rows = [
        [
            row_head(name),
            *(shaded_score(one.attacks[name].auroc.value if name in one.attacks else None) for one in everyone),
        ]
        for name in names
    ]
    text = "AUROC of every detector on every attack, attacks included in training:"
    return [paragraph(text), wide(("attack", *(one.name for one in everyone)), rows)]


COST = ("forwards per image", "ms per image")
QUALITY = ("mean AUROC", "worst", "mean TPR")


def cost(one: Contender) -> list[object]:
    """Cells below `COST`."""
    return [numbers.forwards(one.forwards), numbers.milliseconds(one.milliseconds)]


def quality(over: Overall | None) -> list[object]:
    """Cells below `QUALITY`."""
    if over is None:
        return [numbers.NOTHING] * 3
    return [shaded_score(over.mean), shaded_score(over.worst), shaded_share(over.tpr_suspect)]


def _gain(over: Overall | None, base: Overall | None) -> str:
    return numbers.NOTHING if over is None or base is None else numbers.gain(over.mean - base.mean)
