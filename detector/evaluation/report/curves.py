"""ROC curves: what share of attacked images is caught at what share of false alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, NullLocator
from sklearn.metrics import roc_curve

from detector.reporting import numbers
from detector.reporting.drawing import INK, LINE_STYLES, MUTED, SERIES, chart, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from detector.evaluation.results import AttackResult, EvaluationResults

_ABREAST = 6
_LEAST_RATE = 1e-3
_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g}%")


def roc_overview(results: EvaluationResults) -> Markup:
    """All attacks in two panels: the whole curve, and few false alarms on a logarithmic axis."""
    attacks = sorted(_drawable(results), key=lambda one: one.included.auroc.value)
    curves = [_curve(results.benign_scores, one.scores) for one in attacks]
    styles = _styles(attacks)
    least = max(1 / len(results.benign_scores), _LEAST_RATE)

    def paint(figure: Figure) -> None:
        whole, few = figure.subplots(1, 2)
        for one, (false, true), style in zip(attacks, curves, styles, strict=True):
            name = f"{numbers.auroc(one.included.auroc.value)}  {label(one.name)}"
            whole.plot(false, true, label=name, **style)
            few.plot(np.maximum(false, least), true, **style)
        whole.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":")
        _frame(whole)
        _frame(few, least)
        for rate in (results.adversarial_rate, results.suspect_rate):
            few.axvline(rate, color=INK, linewidth=0.8)
        whole.set_ylabel("attacked images caught (TPR)")
        for axis in (whole, few):
            axis.set_xlabel("benign images flagged (FPR)")
        figure.legend(loc="outside right center", fontsize=7.5, title="AUROC, worst first", title_fontsize=8)

    height = max(4.0, 0.19 * len(attacks) + 0.6)
    return chart("roc", "ROC curves of all attacks, whole and at few false alarms", (10.5, height), paint)


def roc_small(results: EvaluationResults) -> Markup:
    """A small panel per attack, at few false alarms."""
    attacks = _drawable(results)
    abreast = min(len(attacks), _ABREAST)
    rows = -(-len(attacks) // abreast)
    least = max(1 / len(results.benign_scores), _LEAST_RATE)

    def paint(figure: Figure) -> None:
        axes = figure.subplots(rows, abreast, squeeze=False, sharex=True, sharey=True)
        for axis in axes.flat[len(attacks) :]:
            axis.set_visible(False)
        for axis, one in zip(axes.flat, attacks, strict=False):
            false, true = _curve(results.benign_scores, one.scores)
            axis.plot(np.maximum(false, least), true, color=SERIES[0])
            axis.axvline(results.suspect_rate, color=MUTED, linewidth=0.8)
            axis.set_title(label(one.name), fontsize=7.5)
            _frame(axis, least, ticks=(0.01, 0.1))
        # A shared axis shows its numbers in the last row, which may be short of panels.
        for axis in axes.flat[max(len(attacks) - abreast, 0) : len(attacks)]:
            axis.tick_params(labelbottom=True)

    size = (max(1.75 * abreast, 3.0), 1.55 * rows + 0.3)
    return chart("roc-small", "ROC curve of every attack at few false alarms", size, paint)


def _drawable(results: EvaluationResults) -> Sequence[AttackResult]:
    return [one for one in results.attacks if len(one.scores)]


def _curve(benign: Sequence[float], attacked: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False and true positive rates at every threshold where one of them turns, from none flagged to all."""
    truth = np.arange(len(benign) + len(attacked)) >= len(benign)
    false, true, _ = roc_curve(truth, np.concatenate([benign, attacked]))
    return false, true


def _styles(attacks: Sequence[AttackResult]) -> list[dict[str, Any]]:
    """A colour per kin, told apart within by the kind of line."""
    kins = sorted({one.kin for one in attacks})
    seen = dict.fromkeys(kins, 0)
    styles = []
    for one in attacks:
        number = kins.index(one.kin)
        line = (seen[one.kin] + number // len(SERIES)) % len(LINE_STYLES)
        styles.append({"color": SERIES[number % len(SERIES)], "linestyle": LINE_STYLES[line]})
        seen[one.kin] += 1
    return styles


def _frame(axis: Any, least: float | None = None, ticks: Sequence[float] = (0.001, 0.01, 0.1, 1)) -> None:
    """Axes of shares; false alarms from `least` on a logarithmic one if given."""
    axis.set_ylim(0, 1.01)
    axis.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axis.yaxis.set_major_formatter(_PERCENT)
    if least is None:
        axis.set_xlim(0, 1)
    else:
        axis.set_xscale("log")
        axis.set_xlim(least, 1)
        axis.set_xticks([rate for rate in ticks if rate >= least])
        axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(_PERCENT)
