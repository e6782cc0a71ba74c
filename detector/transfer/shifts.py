"""Evidence of a shift: have benign scores and path profiles another distribution under the new classifier?

Two-sample Kolmogorov-Smirnov tests (SciPy). Scores are held to the bundle's own calibration scores, which come from
other images. Profiles are held to the old classifier's of the same images: what differs between images is then the same
on both sides, so the test is conservative, and says yes only to shifts that count beside the spread of images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import ks_2samp

from detector.reporting import numbers
from detector.transfer.evidence import Finding, Subject

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array
    from detector.transfer.measuring import TransferMeasurements

STORED: Final = "score, against calibration"
PAIRED: Final = "score, same images"
SAMPLE: Final = "sample, against calibration"


def shift_findings(measured: TransferMeasurements) -> list[Finding]:
    """A test each for scores and for every summary of a path profile, corrected for their number."""
    old, new, stored = measured.old, measured.new, measured.bundle.parts.calibration.scores
    pairs: dict[str, tuple[Float32Array, Float32Array]] = {}
    if new.scores is not None and old.scores is not None:
        pairs = {STORED: (stored, new.scores), PAIRED: (old.scores, new.scores)}
    pairs |= {name: (old.summaries[name], new.summaries[name]) for name in new.summaries}
    bar = measured.options.significance / len(pairs)
    found = [_shift(name, before, after, bar) for name, (before, after) in pairs.items()]
    if old.scores is not None:
        found.append(_sample(stored, old.scores, measured.options.significance))
    return found


def _shift(name: str, before: Float32Array, after: Float32Array, bar: float) -> Finding:
    apart, p_value = _tested(before, after)
    shifted = p_value < bar
    return Finding(
        subject=Subject.SHIFT,
        detail=name,
        sentence=(
            f"{name}: median {numbers.loss(float(np.median(after)))}, was {numbers.loss(float(np.median(before)))}; "
            f"the distributions are at most {apart:.3f} apart (p = {p_value:.2g}), "
            f"{'which is a shift' if shifted else 'which chance explains'}"
        ),
        figure=p_value,
        bar=bar,
        wanted=f"of a p-value of at least {bar:.2g}",
        holds=not shifted,
    )


def _sample(stored: Float32Array, old: Float32Array, bar: float) -> Finding:
    """Whether the sample is like the images that the bundle was calibrated with, under the same classifier."""
    apart, p_value = _tested(stored, old)
    words = (
        "the sample is unlike the images that the bundle was calibrated with: what shifted may be the images, and not "
        "the classifier"
        if p_value < bar
        else "the sample is like the images that the bundle was calibrated with"
    )
    return Finding(
        subject=Subject.SHIFT,
        detail=SAMPLE,
        sentence=f"under the old classifier {words} (scores {apart:.3f} apart, p = {p_value:.2g})",
        figure=p_value,
        bar=bar,
    )


def _tested(before: Float32Array, after: Float32Array) -> tuple[float, float]:
    """The largest distance of the two distributions, 0..1, and the p-value of there being none."""
    found = ks_2samp(before, after, method="asymp")
    return float(found.statistic), float(found.pvalue)
