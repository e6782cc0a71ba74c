"""Square, by queries alone: on a guard whose answers are known, and on a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.attacks.adaptive.judging import WON
from detector.attacks.adaptive.running import success_rates
from detector.attacks.adaptive.square import QueryAnswer, detector_query, square_attack
from detector.images import to_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.attacks.adaptive.square import Query
    from detector.classifiers.base import Float32Array, UInt8Array
    from detector.detector import Detector

    Attacked = tuple[Float32Array, NDArray[np.int64]]


def _bright(asked: list[UInt8Array], *, passes: float = 1.0) -> Query:
    """A guard that takes images for class 1 as they grow brighter, and passes those that are."""

    def query(images: UInt8Array) -> QueryAnswer:
        asked.append(images)
        mean = images.mean(axis=(1, 2, 3)) / 255
        logits = np.stack([0.6 - mean, mean - 0.6], axis=1).astype(np.float32)
        return QueryAnswer(logits, np.ones(len(images), np.float32), np.where(mean > 0.6, passes, 0.01))

    return query


def _grey(count: int = 3) -> Float32Array:
    return np.full((count, 3, 8, 6), 102 / 255, np.float32)


def test_it_never_leaves_the_ball_and_asks_for_no_more_than_it_may() -> None:
    asked: list[UInt8Array] = []
    told: list[int] = []
    result = square_attack(
        _bright(asked), _grey(), np.zeros(3, np.int64), budget=0.1, queries=30, seed=0, on_progress=told.append
    )
    for images in asked:
        assert images.shape[1:] == (8, 6, 3)
        assert np.abs(images.astype(int) - 102).max() <= 25
    assert np.abs(result.images - _grey()).max() <= 0.1
    np.testing.assert_allclose(result.images * 255, np.rint(result.images * 255), atol=1e-3)
    assert result.queries.tolist() == [30, 30, 30]  # 0.5 is as bright as it gets
    assert sum(map(len, asked)) == 90
    assert sum(told) == 29


def test_it_climbs_and_each_query_changes_something() -> None:
    asked: list[UInt8Array] = []
    result = square_attack(_bright(asked), _grey(1), np.zeros(1, np.int64), budget=0.1, queries=300, seed=0)
    first, best = asked[0].mean(), to_pixels(result.images).mean()
    assert best > first + 12  # 127 is as bright as it gets
    # Every image tried differs from the best so far, so no query is spent for nothing.
    sofar = asked[0]
    for images in asked[1:]:
        assert (images != sofar).any()
        sofar = images if images.mean() > sofar.mean() else sofar


def test_what_is_won_is_not_asked_about_any_more() -> None:
    asked: list[UInt8Array] = []
    labels = np.array([0, 1, 0])  # the second is not class 1 from the start, and passes
    passing = _bright(asked)

    def query(images: UInt8Array) -> QueryAnswer:
        answer = passing(images)
        return QueryAnswer(answer.logits, answer.scores, np.full(len(images), 0.9))

    result = square_attack(query, _grey(), labels, budget=0.5, queries=400, seed=0)
    assert result.queries[1] == 1
    assert (result.badness < WON).all()
    assert result.queries.max() < 400
    assert sum(map(len, asked)) == result.queries.sum()


def test_where_no_image_passes_it_searches_to_the_end_and_stays_wrong() -> None:
    result = square_attack(_bright([], passes=0.02), _grey(), np.zeros(3, np.int64), budget=0.5, queries=100, seed=0)
    assert result.queries.tolist() == [100] * 3
    assert ((result.badness > WON) & (result.badness < 1)).all()
    assert (result.images.mean((1, 2, 3)) > 0.6).all()


def test_the_seed_decides() -> None:
    runs = [
        square_attack(_bright([]), _grey(), np.zeros(3, np.int64), budget=0.1, queries=5, seed=seed).images
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


def test_a_real_guard_is_searched_past_and_its_own_answers_agree(one_class: Detector, attacked: Attacked) -> None:
    images, labels = attacked
    result = square_attack(detector_query(one_class), images, labels, budget=0.3, queries=120, seed=0)
    rates = success_rates(one_class, result.images, labels)
    assert rates.fooled > 0.9
    assert rates.sr5 > 0.5
    found = one_class.score_canonical(result.images)
    wrong = found.predicted != labels
    np.testing.assert_allclose(result.badness[wrong], 1 - found.p_values[wrong], atol=1e-3)
    assert (result.badness[~wrong] >= 2).all()


def test_asking_a_detector_is_scoring(one_class: Detector, attacked: Attacked) -> None:
    answer = detector_query(one_class)(to_pixels(attacked[0]))
    found = one_class.score_canonical(attacked[0])
    np.testing.assert_array_equal(answer.logits, found.logits)
    np.testing.assert_array_equal(answer.scores, found.scores)
    np.testing.assert_array_equal(answer.p_values, found.p_values)
