from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import entropy, rankdata

from detector.strata import ONE_STRATUM, Proxy, Strata, difficulty_of, quantile_strata

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array


def _logits(count: int = 200, classes: int = 6, *, seed: int = 0, scale: float = 4) -> Float32Array:
    return (np.random.default_rng(seed).normal(size=(count, classes)) * scale).astype(np.float32)


def test_the_proxies_are_what_they_are_called() -> None:
    logits = _logits()
    probabilities = softmax(logits.astype(np.float64), axis=1)
    falling = -np.sort(-log_softmax(logits.astype(np.float64), axis=1), axis=1)
    best = probabilities.max(axis=1)
    expected = {
        Proxy.MARGIN: falling[:, 1] - falling[:, 0],
        Proxy.CONFIDENCE: np.log((1 - best) / best),
        Proxy.ENTROPY: entropy(probabilities, axis=1),
    }
    for proxy, values in expected.items():
        found = difficulty_of(logits, proxy)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("proxy", Proxy)
def test_what_is_added_to_all_logits_changes_no_difficulty_and_a_smaller_scale_raises_it(proxy: Proxy) -> None:
    logits = _logits()
    np.testing.assert_allclose(difficulty_of(logits + np.float32(3), proxy), difficulty_of(logits, proxy), atol=1e-5)
    assert (difficulty_of(logits / np.float32(2), proxy) >= difficulty_of(logits, proxy)).all()


def test_of_two_classes_the_margin_is_the_log_odds() -> None:
    logits = _logits(classes=2)
    np.testing.assert_array_equal(difficulty_of(logits, Proxy.MARGIN), difficulty_of(logits, Proxy.CONFIDENCE))


@pytest.mark.parametrize("proxy", Proxy)
def test_images_whose_softmax_rounds_to_certainty_are_told_apart(proxy: Proxy) -> None:
    margins = np.linspace(40, 90, 11, dtype=np.float32)
    logits = np.stack([margins, np.zeros_like(margins), np.full_like(margins, -5)], axis=1)
    assert (softmax(logits, axis=1)[:, 0] == 1).all()
    found = difficulty_of(logits, proxy)
    assert (np.diff(found[: 5 if proxy is Proxy.ENTROPY else None]) < 0).all()


@pytest.mark.parametrize("proxy", Proxy)
def test_equal_logits_are_the_hardest(proxy: Proxy) -> None:
    found = difficulty_of(np.concatenate([np.zeros((1, 6), np.float32), _logits()]), proxy)
    assert rankdata(found)[0] == len(found)


def test_an_image_at_an_edge_is_in_the_harder_stratum() -> None:
    strata = Strata((1.0, 2.5))
    found = strata.numbers(np.array([-9, np.nextafter(np.float32(1), np.float32(0)), 1, 2, 2.5, 9], np.float32))
    np.testing.assert_array_equal(found, [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(ONE_STRATUM.numbers(np.array([-9, 9], np.float32)), [0, 0])


@pytest.mark.parametrize("wanted", [1, 2, 3, 5, 8])
def test_quantile_strata_have_equal_shares(wanted: int) -> None:
    fitting = difficulty_of(_logits(1000), Proxy.MARGIN)
    strata = quantile_strata(fitting, wanted, least=0.05, proxy=Proxy.MARGIN)
    shares = np.bincount(strata.numbers(fitting)) / len(fitting)
    np.testing.assert_allclose(shares, 1 / wanted, atol=0.001)
    assert not set(strata.edges) & set(fitting.tolist())


def test_images_of_one_difficulty_stay_together() -> None:
    fitting = np.repeat(np.array([1, 2, 3], np.float32), [60, 30, 10])
    strata = quantile_strata(fitting, 10, least=0, proxy=Proxy.MARGIN)
    np.testing.assert_array_equal(np.bincount(strata.numbers(fitting)), [60, 30, 10])
    coarse = quantile_strata(fitting, 4, least=0, proxy=Proxy.MARGIN)
    np.testing.assert_array_equal(np.bincount(coarse.numbers(fitting)), [60, 40])  # the edge nearest to a half
    assert quantile_strata(np.ones(50, np.float32), 4, least=0, proxy=Proxy.MARGIN) == ONE_STRATUM


def test_strata_that_would_be_too_small_join_a_neighbour() -> None:
    fitting = np.repeat(np.array([1, 2, 3], np.float32), [60, 30, 10])
    strata = quantile_strata(fitting, 10, least=0.2, proxy=Proxy.MARGIN)
    np.testing.assert_array_equal(np.bincount(strata.numbers(fitting)), [60, 40])


def test_between_neighbouring_numbers_there_is_an_edge_too() -> None:
    low = np.float32(1)
    high = np.nextafter(low, np.float32(2))
    strata = quantile_strata(np.array([low, high]), 2, least=0, proxy=Proxy.MARGIN)
    np.testing.assert_array_equal(strata.numbers(np.array([low, high])), [0, 1])


def test_counts_are_those_of_a_plain_loop() -> None:
    logits, strata = _logits(50, 3), Strata((-4.0, -1.0))
    slow = np.zeros((3, 3), np.int64)
    for row in logits:
        second, first = np.sort(row)[-2:]
        slow[sum(second - first >= edge for edge in strata.edges), row.argmax()] += 1
    np.testing.assert_array_equal(strata.counts(logits), slow)
