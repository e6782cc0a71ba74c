"""Distributions of scores, and of p-values, which are uniform on benign images when the calibration holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binom

from detector.reporting.drawing import INK, MUTED, SERIES, chart, label

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from detector.evaluation.results import EvaluationResults

_BINS = 20
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_WIDE = 50
"""Ratio of the largest score to the typical one from which the axis is compressed."""


def score_boxes(results: EvaluationResults) -> Markup:
    """A row for the benign images and one per attack, lowest median first: where 5, 25, 50, 75 and 95 % lie."""
    attacks = sorted((one for one in results.attacks if len(one.scores)), key=lambda one: float(np.median(one.scores)))
    rows = [("benign", results.benign_scores), *((one.name, one.scores) for one in attacks)]
    quantiles = np.array([np.quantile(scores, _QUANTILES) for _, scores in rows])

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for place, (low, first, middle, third, high) in enumerate(quantiles):
            colour = SERIES[2] if place == 0 else SERIES[0]
            axis.plot([low, high], [place, place], color=colour, linewidth=1)
            axis.barh(place, third - first, left=first, height=0.55, color=colour, alpha=0.45)
            axis.plot([middle, middle], [place - 0.28, place + 0.28], color=INK, linewidth=1.6)
        axis.axvline(quantiles[0, -1], color=SERIES[2], linewidth=0.8, linestyle="--")
        axis.set_yticks(range(len(rows)), [f"{label(name)} ({len(scores)})" for name, scores in rows])
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        typical = float(np.median(np.abs(quantiles)))
        if np.abs(quantiles).max() > _WIDE * max(typical, 1e-6):
            axis.set_xscale("symlog", linthresh=max(typical, 1e-6))
        axis.set_xlabel("score (nats; higher means more adversarial)")

    height = 0.21 * len(rows) + 0.7
    return chart("scores", "distribution of scores, benign and per attack", (8.5, height), paint)


def p_value_charts(results: EvaluationResults) -> Markup:
    """Benign p-values in twenty bins of the same expected height, and the share of images at or below every p-value."""
    benign = np.asarray(results.benign_p_values)
    attacked = np.concatenate([np.zeros(0), *(one.p_values for one in results.attacks)])
    low, high = binom.interval(0.95, len(benign), 1 / _BINS)

    def paint(figure: Figure) -> None:
        bins, shares = figure.subplots(1, 2)
        counts, edges = np.histogram(benign, _BINS, (0, 1))
        bins.axhspan(low, high, color=MUTED, alpha=0.2, linewidth=0, label="95% of bins, were they uniform")
        bins.stairs(counts, edges, fill=True, color=SERIES[2], alpha=0.55, label="benign")
        bins.axhline(len(benign) / _BINS, color=INK, linewidth=0.9, linestyle="--")
        bins.set_xlabel("p-value")
        bins.set_ylabel("benign images")
        bins.set_xlim(0, 1)
        bins.set_ylim(0, 1.3 * max(counts.max(), high))
        bins.legend(loc="upper right")
        _share_at_or_below(shares, benign, "benign", color=SERIES[2])
        if len(attacked):
            _share_at_or_below(shares, attacked, "attacked, all attacks", color=SERIES[1], linestyle="--")
        shares.plot([0, 1], [0, 1], color=INK, linewidth=0.9, linestyle=":", label="uniform")
        shares.set_xlim(0, 1)
        shares.set_ylim(0, 1.01)
        shares.set_xlabel("p-value")
        shares.set_ylabel("share of images at or below")
        shares.legend(loc="lower right")

    return chart("p-values", "distribution of p-values of benign and attacked images", (9.5, 3.4), paint)


def _share_at_or_below(axis: Any, values: NDArray[np.float64], name: str, **style: Any) -> None:
    ordered = np.concatenate([[0.0], np.sort(values), [1.0]])
    shares = np.concatenate([[0.0], np.arange(1, len(values) + 1) / len(values), [1.0]])
    axis.step(ordered, shares, where="post", label=name, **style)
