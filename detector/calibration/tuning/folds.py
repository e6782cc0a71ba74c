"""Held out twice: each fold keeps a part of the images, and a part of the kins of attacks, from the scorer it fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.calibration.tuning.quality import Contest, Quality, mean_auroc

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.calibration.tuning.evidence import Evidence
    from detector.classifiers.base import Float32Array

    Score = Callable[[Float32Array], Float32Array]

FOLDS = 4


@dataclass(frozen=True, eq=False)
class Fold:
    """What a fold keeps from the fit.

    Args:
        images: int64: images.
        kins: Kins of attacks.
    """

    images: NDArray[np.int64]
    kins: tuple[str, ...]


def folds(evidence: Evidence) -> list[Fold]:
    """Every image and every kin of attacks is in one of them; no more of them than kins, but at least two."""
    kins = sorted(set(evidence.kins.values()))
    count = min(FOLDS, max(2, len(kins)))
    order = np.random.default_rng(evidence.seed).permutation(np.unique(evidence.benign.images))
    return [Fold(part, tuple(kins[at::count])) for at, part in enumerate(np.array_split(order, count))]


def left_out_quality(evidence: Evidence, columns: NDArray[np.int64]) -> Quality:
    """How well the guard's kind of scorer, fitted fold by fold on some features, detects what its fit knew nothing of.

    Args:
        evidence: What is fitted and judged on.
        columns: The features that are read.

    Raises:
        CalibrationError: Too few images.
    """

    def fitted(fold: Fold) -> Score:
        return evidence.scorer(columns, held_out=fold.images, without=fold.kins).score

    return judged(evidence, columns, fitted)


def judged(evidence: Evidence, columns: NDArray[np.int64], fitted: Callable[[Fold], Score]) -> Quality:
    """The mean AUROC of attacks whose kin had no part in the fit, against benign images that had none.

    Args:
        evidence: What is judged on.
        columns: The features that are read.
        fitted: What scores these features, given what it must not have been fitted on; asked of folds with attacks.
    """
    contests: list[Contest] = []
    for fold in folds(evidence):
        names = [name for name, kin in evidence.kins.items() if kin in fold.kins]
        if not names:
            continue
        score = fitted(fold)
        benign = evidence.benign.of(fold.images)
        usual = score(benign.features[:, columns])
        for name in names:
            attacked = evidence.attacked[name]
            contests.append(Contest(name, usual, benign.images, score(attacked.features[:, columns]), attacked.images))
    return mean_auroc(contests, evidence.total)
