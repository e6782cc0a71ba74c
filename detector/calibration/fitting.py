"""Fitting a scorer to what was measured: the one-class scorer, or the supervised one where there are attacks."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from detector.scoring.one_class import fit_one_class
from detector.scoring.supervised import fit_supervised, fit_tails

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detector.calibration.measuring import Measurements
    from detector.classifiers.base import Float32Array
    from detector.scoring.fitted import FittedScorer
    from detector.scoring.tail import Tail


class ScorerFits:
    """Fits scorers to what was measured, for several attacks on the same features what they share but once.

    Args:
        measured: Benign, corrupted and attacked images' features.
        seed: Of what a fit draws.
    """

    def __init__(self, measured: Measurements, *, seed: int) -> None:
        self._measured, self._seed = measured, seed
        self._last: _BenignPart | None = None

    def fit(
        self,
        columns: NDArray[np.int64] | None = None,
        *,
        without: str | None = None,
        further: Mapping[str, Float32Array] | None = None,
    ) -> FittedScorer:
        """Fit on the images that are there for it.

        Args:
            columns: int64, rising: the features to read; None for all.
            without: A kin of attacks that is left out of training.
            further: float32 (M, features) of more attacked images, by name.

        Raises:
            CalibrationError: Too few images, or no attack moved any.
        """
        measured = self._measured
        read = np.arange(measured.benign.shape[1]) if columns is None else columns
        training = {
            name: features[:, read]
            for name, features in measured.attacked_features(held_out=False).items()
            if measured.moved[name][0].kin != without
        }
        training |= {name: features[:, read] for name, features in (further or {}).items()}
        if not measured.supervised or (without is not None and not training):
            return fit_one_class(measured.benign[measured.split.fit][:, read])
        if self._last is None or not np.array_equal(self._last.columns, read):
            self._last = _BenignPart(measured, read)
        return self._last.fit(training, self._seed)


class _BenignPart:
    """What a supervised scorer on some features has from images that nobody attacked."""

    def __init__(self, measured: Measurements, columns: NDArray[np.int64]) -> None:
        self.columns = columns
        self._benign, self._corrupted = measured.benign[measured.split.fit][:, columns], measured.corrupted[:, columns]
        doubt = np.flatnonzero(columns == measured.doubt)
        residuals = np.flatnonzero(np.isin(columns, measured.residuals))
        self._doubt = int(doubt[0]) if len(doubt) else None
        self._residuals = residuals if len(residuals) else None

    @cached_property
    def _tails(self) -> Mapping[str, Tail]:
        return fit_tails(self._benign, corrupted=self._corrupted, residuals=self._residuals)

    def fit(self, attacked: Mapping[str, Float32Array], seed: int) -> FittedScorer:
        return fit_supervised(
            self._benign,
            attacked,
            corrupted=self._corrupted,
            doubt=self._doubt,
            residuals=self._residuals,
            tails=self._tails,
            seed=seed,
        )
