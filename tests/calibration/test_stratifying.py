from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import binomtest

from detector.calibration.options import CalibrationOptions
from detector.calibration.stratifying import USUAL_STRATA, draw_strata, least_images
from detector.conformal import ConformalCalibration
from detector.errors import CalibrationError
from detector.strata import MAX_STRATA, ONE_STRATUM, Proxy
from detector.verdicts import TargetRates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

OPTIONS = CalibrationOptions()
LEAST = 198
"""Twice the 99 images that a p-value of 1 % needs."""


def _logits(count: int, *, seed: int = 0) -> Float32Array:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 4)) * rng.uniform(0.2, 6, (count, 1))).astype(np.float32)


@pytest.mark.parametrize(
    ("wanted", "calibrating", "count"),
    [
        (None, 5 * LEAST, USUAL_STRATA),
        (None, 100_000, USUAL_STRATA),
        (None, 5 * LEAST - 1, 4),
        (None, 2 * LEAST - 1, 1),
        (None, 1, 1),
        (1, 100_000, 1),
        (8, 8 * LEAST, 8),
        (8, 2000, 8),
        (8, 600, 3),
    ],
)
def test_there_are_as_many_strata_as_images_allow(wanted: int | None, calibrating: int, count: int) -> None:
    logits = _logits(1003)
    strata, warnings = draw_strata(logits, calibrating, replace(OPTIONS, strata=wanted))
    assert strata.count == count
    assert bool(warnings) == (wanted is not None and count < wanted)
    shares = np.bincount(strata.numbers(strata.difficulty(logits))) / len(logits)
    np.testing.assert_allclose(shares, 1 / count, atol=0.002)


def test_a_smaller_rate_needs_more_images() -> None:
    assert least_images(OPTIONS) == LEAST
    assert least_images(replace(OPTIONS, rates=TargetRates(0.05, 0.001))) == 2 * 999
    assert least_images(replace(OPTIONS, rates=TargetRates(0.5, 0.3))) == 50


def test_too_few_images_for_what_was_asked_are_told_with_the_number_that_would_do() -> None:
    _, (warning,) = draw_strata(_logits(1000), 600, replace(OPTIONS, strata=5))
    assert warning.startswith("thresholds are set in 3 strata of difficulty, not 5: 600 images calibrate")
    assert f"5 strata need {5 * LEAST}" in warning
    _, (warning,) = draw_strata(_logits(1000), 100, replace(OPTIONS, strata=2))
    assert warning.startswith("thresholds are set in 1 stratum of difficulty, not 2")


def test_images_that_are_equally_hard_are_not_torn_apart() -> None:
    logits = np.zeros((500, 3), np.float32)
    logits[:100, 0] = 5
    strata, (warning,) = draw_strata(logits, 2000, replace(OPTIONS, strata=4))
    assert strata.count == 2
    assert "not 4: too many images are equally hard" in warning
    assert draw_strata(logits[100:], 2000, OPTIONS) == (ONE_STRATUM, [])


@pytest.mark.parametrize("strata", [0, -1, MAX_STRATA + 1])
def test_a_number_of_strata_that_can_not_be_is_refused(strata: int) -> None:
    with pytest.raises(CalibrationError, match=f"strata must lie in 1..{MAX_STRATA}"):
        CalibrationOptions(strata=strata)


def _flagged(strata: int, proxy: Proxy, rate: float) -> NDArray[np.int64]:
    """(bins, 2): benign images flagged, and all, by five bins of difficulty, over many calibrations.

    Images without labels; the harder the classifier finds one, the wider its score spreads.
    """
    rng = np.random.default_rng(5)

    def scores(logits: Float32Array) -> Float32Array:
        falling = np.sort(logits, axis=1)
        return (rng.lognormal(size=len(logits)) * np.exp(falling[:, -2] - falling[:, -1])).astype(np.float32)

    found = np.zeros((5, 2), np.int64)
    for turn in range(60):
        fitting, known, new = np.split(_logits(2600, seed=turn), [400, 1600])
        drawn, _ = draw_strata(fitting, len(known), replace(OPTIONS, strata=strata, proxy=proxy))
        calibration = ConformalCalibration.of(scores(known), known, drawn, 100)
        p_values = calibration.p_values(scores(new), new.argmax(axis=1), drawn.difficulty(new))
        bins, _ = draw_strata(fitting, 10_000, OPTIONS)
        numbers = bins.numbers(bins.difficulty(new))
        found += np.stack([np.bincount(numbers[p_values <= rate], minlength=5), np.bincount(numbers, minlength=5)], 1)
    return found


@pytest.mark.parametrize("proxy", Proxy)
def test_drawn_strata_keep_the_promise_where_one_threshold_breaks_it(proxy: Proxy) -> None:
    rate = 0.05
    together = _flagged(1, proxy, rate)
    assert abs(together[:, 0].sum() / together[:, 1].sum() - rate) < 0.01
    assert together[-1, 0] / together[-1, 1] > 2.5 * rate
    apart = _flagged(5, proxy, rate)
    # Scores spread by the margin; what goes by another proxy mends most of it.
    assert (apart[:, 0] / apart[:, 1]).max() < (1.25 if proxy is Proxy.MARGIN else 2) * rate
    if proxy is Proxy.MARGIN:  # the bins' own measure
        for flagged, total in apart.tolist():
            assert binomtest(flagged, total, rate, alternative="greater").pvalue > 1e-3
