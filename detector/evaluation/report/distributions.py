"""Distributions of scores, and of p-values, which are uniform on benign images when the calibration holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binom

from detector.reporting.boxes import quantile_boxes
from detector.reporting.drawing import INK, MUTED, SERIES, chart

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from detector.evaluation.results import EvaluationResults

_BINS = 20


def score_boxes(results: EvaluationResults) -> Markup:
    """A row for the benign images and one per attack, lowest median first."""
    attacks = sorted((one for one in results.attacks if len(one.scores)), key=lambda one: float(np.median(one.scores)))
    rows = [("benign", results.benign_scores), *((one.name, one.scores) for one in attacks)]
    scale = "score (nats; higher means more adversarial)"
    return quantile_boxes("scores", "distribution of scores, benign and per attack", rows, scale)


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
