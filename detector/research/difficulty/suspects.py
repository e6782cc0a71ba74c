"""Images whose label is likely wrong, told by networks that did not train on them.

After Northcutt et al., "Confident learning" (arXiv 1911.00068, Sec. 3.1): a class is credited with an image where its
probability reaches what it is on average for the images labelled with it; an image credited to another class than its
label's is a suspect. Nothing is assumed of how often labels are wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CONSISTENT: Final = 2 / 3  # of the runs that did not train on an image say the same other class


@dataclass(frozen=True, eq=False)
class Suspects:
    """What networks that did not train on them say of images and their labels.

    Args:
        consensus: int64 (N,), the most probable class.
        agreement: float64 (N,), 0..1, the share of the runs that did not train on the image that say this class.
        quality: float64 (N,), -1..1, the label's mean probability less the largest other one; the lower, the worse.
        mislabelled: bool (N,), the label is likely wrong: another class is credited with the image, it is the most
            probable one, and most runs say so.
    """

    consensus: NDArray[np.int64]
    agreement: NDArray[np.float64]
    quality: NDArray[np.float64]
    mislabelled: NDArray[np.bool_]


def suspects(
    shares: NDArray[np.float64],
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    trained_on: NDArray[np.bool_],
) -> Suspects:
    """Compare labels with what networks say.

    Args:
        shares: (N, classes), mean probabilities by runs that did not train on the image.
        labels: (N,).
        predicted: (runs, N), classes.
        trained_on: (runs, N); every image has a run that did not train on it.

    Raises:
        AnalysisError: Some image has none.
    """
    left_out = (~trained_on).sum(0)
    if not left_out.all():
        raise AnalysisError("cleaning: every image needs a run that did not train on it; more folds")
    rows = np.arange(len(labels))
    present = np.unique(labels)
    usual = np.full(shares.shape[1], np.inf)  # a class that no image is labelled with is credited with none
    usual[present] = [shares[labels == label, label].mean() for label in present]
    credited = np.where(shares >= usual, shares, -np.inf)
    others = shares.copy()
    others[rows, labels] = -np.inf
    consensus = shares.argmax(1)
    agreement = ((predicted == consensus) & ~trained_on).sum(0) / left_out
    elsewhere = np.isfinite(credited.max(1)) & (credited.argmax(1) != labels)
    return Suspects(
        consensus=consensus.astype(np.int64),
        agreement=agreement,
        quality=shares[rows, labels] - others.max(1),
        mislabelled=elsewhere & (consensus != labels) & (agreement >= _CONSISTENT),
    )
