"""Fitting a scorer to what was measured: the one-class scorer, or the supervised one where there are attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.scoring.one_class import fit_one_class
from detector.scoring.supervised import fit_supervised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detector.calibration.measuring import Measurements
    from detector.classifiers.base import Float32Array
    from detector.scoring.fitted import FittedScorer


def fit_scorer(
    measured: Measurements,
    *,
    seed: int,
    columns: NDArray[np.int64] | None = None,
    without: str | None = None,
    further: Mapping[str, Float32Array] | None = None,
) -> FittedScorer:
    """Fit on the images that are there for it.

    Args:
        measured: Benign, corrupted and attacked images' features.
        seed: Of what the fit draws.
        columns: int64, rising: the features to read; None for all.
        without: A kin of attacks that is left out of training.
        further: float32 (M, features) of more attacked images, by name.

    Raises:
        CalibrationError: Too few images, or no attack moved any.
    """
    read = np.arange(measured.benign.shape[1]) if columns is None else columns
    benign = measured.benign[measured.split.fit][:, read]
    training = {
        name: features[:, read]
        for name, features in measured.attacked_features(held_out=False).items()
        if measured.moved[name][0].kin != without
    }
    training |= {name: features[:, read] for name, features in (further or {}).items()}
    if not measured.supervised or (without is not None and not training):
        return fit_one_class(benign)
    doubt = np.flatnonzero(read == measured.doubt)
    residuals = np.flatnonzero(np.isin(read, measured.residuals))
    return fit_supervised(
        benign,
        training,
        corrupted=measured.corrupted[:, read],
        doubt=int(doubt[0]) if len(doubt) else None,
        residuals=residuals if len(residuals) else None,
        seed=seed,
    )
