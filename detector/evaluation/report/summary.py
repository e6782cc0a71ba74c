"""The first page: what was found, in words, in headline figures, and as answers to a reader's questions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.evaluation.report import contenders
from detector.evaluation.report.verdicts import answers, strongest_adaptive
from detector.reporting import numbers
from detector.reporting.parts import (
    Section,
    answer,
    paragraph,
    row_head,
    shaded_score,
    shaded_share,
    wide,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from detector.evaluation.report.contenders import Overall
    from detector.evaluation.results import EvaluationResults, TuningResult


def summary(results: EvaluationResults) -> Markup:
    """One paragraph in plain words, with the headline numbers."""
    guard = contenders.guard(results)
    sentences = []
    if (over := guard.included) is not None:
        sentences.append(
            f"Shown an attacked and a benign image, the guard gives the attacked one the higher score "
            f"{numbers.percent(over.mean)} of the time on average over {over.attacks} attacks "
            f"(AUROC {numbers.auroc(over.mean)}) and {numbers.percent(over.worst)} of the time for the attack it "
            f"handles worst, {over.worst_attack}."
        )
        if guard.needs_attacks and (unseen := guard.left_out) is not None:
            sentences.append(
                f"With an attack and its kin left out of training the mean is {numbers.auroc(unseen.mean)} and the "
                f"worst {numbers.auroc(unseen.worst)} ({unseen.worst_attack})."
            )
        sentences.append(
            f"At the threshold for {numbers.target(results.suspect_rate)} false alarms it flags "
            f"{numbers.percent(over.tpr_suspect)} of successfully attacked images."
        )
    else:
        sentences.append("No attack was run.")
    if (rate := guard.false_positives) is not None:
        sentences.append(f"Of benign test images it flagged {numbers.realised(rate)}.")
    sentences.append(
        f"It costs {numbers.forwards(guard.forwards)} forwards of the classifier per image, "
        f"{numbers.milliseconds(guard.milliseconds)} ms here; the classifier itself is right on "
        f"{numbers.percent(results.accuracy)} of benign test images."
    )
    if strongest := strongest_adaptive(results.adaptive):
        curve, point = max(strongest.values(), key=lambda one: one[1].sr5)
        sentences.append(
            f"An attacker who knows the guard gets {numbers.percent(point.sr5)} of images past classifier and guard "
            f"at 8/255 ({curve.name})."
        )
    return paragraph(" ".join(sentences), class_="lead")


def headlines(results: EvaluationResults) -> list[str]:
    """The headline figures as lines for a terminal."""
    guard = contenders.guard(results)
    lines = []
    for name, over in (("included", guard.included), ("left out", guard.left_out if guard.needs_attacks else None)):
        if over is not None:
            lines.append(
                f"{name:<12}mean AUROC {over.mean:.3f}, worst {over.worst:.3f} ({over.worst_attack}), mean TPR at "
                f"{numbers.target(results.suspect_rate)} {over.tpr_suspect:.2f}, over {over.attacks} attacks"
            )
    if results.tuning is not None:
        lines += _untuned(results.tuning)
    if guard.false_positives is not None:
        lines.append(f"{'benign':<12}{numbers.realised(guard.false_positives)} flagged")
    for configuration, (curve, point) in strongest_adaptive(results.adaptive).items():
        lines.append(f"{'informed':<12}SR@5 {point.sr5:.2f} at 8/255 ({curve.name}; guard: {configuration})")
    lines.append(
        f"{'cost':<12}{numbers.forwards(guard.forwards)} forwards and {numbers.milliseconds(guard.milliseconds)} ms "
        "per image"
    )
    failed = [check.name for check in results.checks if not check.passed]
    lines.append(f"{'self-checks':<12}{'failed: ' + ', '.join(failed) if failed else 'all passed'}")
    return lines


def _untuned(tuning: TuningResult) -> Iterator[str]:
    plain = contenders.untuned(tuning)
    for name, over in (("included", plain.included), ("left out", plain.left_out if plain.needs_attacks else None)):
        if over is not None:
            yield (
                f"{'untuned':<12}{name}: mean AUROC {over.mean:.3f}, worst {over.worst:.3f} ({over.worst_attack}), at "
                f"{numbers.forwards(plain.forwards)} forwards per image"
            )


def headline(results: EvaluationResults) -> Section:
    """The headline figures."""
    guard = contenders.guard(results)
    standings = [
        ("attacks included in training", guard.included),
        ("an attack's kin left out of training", guard.left_out),
    ]
    if not guard.needs_attacks:
        standings = [("the scorer learns from no attack", guard.included)]
    rows = [_standing(name, over) for name, over in standings if over is not None]
    if not rows:
        return Section.of("headline", "Headline figures", paragraph("No attack was run."))
    head = (
        "guard",
        "attacks",
        "mean AUROC",
        "worst AUROC",
        words("worst attack"),
        f"mean TPR at {numbers.target(results.suspect_rate)}",
        f"mean TPR at {numbers.target(results.adversarial_rate)}",
    )
    return Section.of("headline", "Headline figures", wide(head, rows))


def _standing(name: str, over: Overall) -> list[object]:
    return [
        row_head(name, long=True),
        over.attacks,
        shaded_score(over.mean),
        shaded_score(over.worst),
        words(over.worst_attack),
        shaded_share(over.tpr_suspect),
        shaded_share(over.tpr_adversarial),
    ]


def verdicts(results: EvaluationResults) -> Section:
    """The questions and their answers."""
    rows = [
        (row_head(one.question, long=True), answer(one.answer, good=one.good), words(one.finding))
        for one in answers(results)
    ]
    if not rows:
        return Section.of("verdicts", "Verdicts", paragraph("There are no figures to judge."))
    return Section.of("verdicts", "Verdicts", wide(("question", words("answer"), words("what was found")), rows))
