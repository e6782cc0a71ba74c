from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from service.drift import LEAST_P_VALUES, DriftWindow

EXACT = 0
"""Calibration images of p-values that rest on no sample."""


def window(p_values: np.ndarray, size: int = 1000, calibration_images: int = EXACT) -> DriftWindow:
    found = DriftWindow(size, calibration_images)
    found.add(p_values)
    return found


def test_it_is_the_kolmogorov_smirnov_statistic() -> None:
    p_values = np.random.default_rng(1).beta(0.8, 1.1, 500)
    wanted = stats.kstest(p_values, "uniform").statistic * math.sqrt(500)
    assert window(p_values).statistic() == pytest.approx(wanted, rel=1e-12)


def test_the_limits_named_in_the_docs_are_those_of_the_limit_distribution() -> None:
    assert stats.kstwobign.sf(1.63) == pytest.approx(0.01, rel=0.05)
    assert stats.kstwobign.sf(1.95) == pytest.approx(0.001, rel=0.05)


@pytest.mark.parametrize(("images", "calibration_images"), [(200, 5000), (2000, 500), (1000, 1000)])
def test_benign_windows_pass_the_limits_as_often_as_promised(images: int, calibration_images: int) -> None:
    random = np.random.default_rng(2)
    found = []
    for _ in range(2000):
        known = np.sort(random.normal(size=calibration_images))
        beyond = calibration_images - np.searchsorted(known, random.normal(size=images), side="left")
        p_values = (beyond + 1) / (calibration_images + 1)
        found.append(window(p_values, images, calibration_images).statistic())
    assert 0.002 < np.mean(np.array(found) > 1.63) < 0.02
    assert np.mean(np.array(found) > 1.95) < 0.005


def test_attacked_traffic_is_far_beyond_them() -> None:
    random = np.random.default_rng(3)
    p_values = np.where(random.random(2000) < 0.1, 0.005, random.random(2000))
    assert window(p_values, 2000, 2000).statistic() > 1.95


def test_both_directions_count() -> None:
    uniform = np.random.default_rng(4).random(2000)
    assert window(uniform**2, 2000).statistic() > 5
    assert window(np.sqrt(uniform), 2000).statistic() > 5


def test_only_the_newest_count_however_they_came() -> None:
    random = np.random.default_rng(5)
    p_values = random.random(1234)
    at_once, one_by_one, in_parts = (DriftWindow(150, 300) for _ in range(3))
    at_once.add(p_values)
    for p_value in p_values:
        one_by_one.add(np.array([p_value]))
    for part in np.array_split(p_values, 7):
        in_parts.add(part)
    wanted = window(p_values[-150:], 150, 300).statistic()
    assert at_once.statistic() == one_by_one.statistic() == in_parts.statistic() == wanted
    assert len(at_once) == len(one_by_one) == len(in_parts) == 150


def test_few_say_nothing() -> None:
    few = window(np.linspace(0, 1, LEAST_P_VALUES - 1))
    assert math.isnan(few.statistic())
    few.add(np.array([0.5]))
    assert few.statistic() < 1
    assert math.isnan(DriftWindow(1000, 10).statistic())
