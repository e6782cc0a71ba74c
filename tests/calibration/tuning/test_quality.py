from __future__ import annotations

import numpy as np
import pytest

from detector.calibration.tuning.quality import Contest, Quality, jackknifed, mean_auroc
from detector.metrics import auroc, auroc_estimate

BENIGN, ATTACKED = 60, 40


def _contest(seed: int, *, shift: float = 1.0, attack: str = "a", shared: bool = False) -> Contest:
    generator = np.random.default_rng(seed)
    return Contest(
        attack,
        generator.standard_normal(BENIGN).astype(np.float32),
        np.arange(BENIGN),
        (generator.standard_normal(ATTACKED) + shift).astype(np.float32),
        np.arange(ATTACKED) if shared else BENIGN + np.arange(ATTACKED),
    )


def test_it_is_the_mean_of_the_aurocs_each_attack_counting_the_same() -> None:
    contests = [_contest(0), _contest(1, shift=2.0, attack="b")]
    found = mean_auroc(contests, BENIGN + ATTACKED)
    each = {one.attack: auroc(one.benign, one.attacked) for one in contests}
    assert found.parts == pytest.approx(each)
    assert found.value == pytest.approx(np.mean(list(each.values())))


def test_the_interval_of_one_attack_is_delongs() -> None:
    contest = _contest(0)
    found = mean_auroc([contest], BENIGN + ATTACKED).estimate
    exact = auroc_estimate(contest.benign, contest.attacked)
    assert found.value == pytest.approx(exact.value)
    assert found.high - found.low == pytest.approx(exact.high - exact.low, rel=0.03)


def test_the_error_is_that_of_images_drawn_again() -> None:
    generator = np.random.default_rng(3)
    contests = [_contest(0, shared=True), _contest(1, attack="b", shared=True)]

    def drawn() -> float:
        weights = np.bincount(generator.integers(0, BENIGN, BENIGN), minlength=BENIGN)
        values = []
        for one in contests:
            wins = (one.attacked[:, None] > one.benign).astype(float)
            attacked, benign = weights[one.attacked_images], weights[one.benign_images]
            values.append(attacked @ wins @ benign / attacked.sum() / benign.sum())
        return float(np.mean(values))

    found = mean_auroc(contests, BENIGN)
    spread = np.std([drawn() for _ in range(2000)])
    assert np.sqrt(np.square(found.influence).sum()) == pytest.approx(spread, rel=0.15)


def test_two_that_say_the_same_do_not_differ_for_sure() -> None:
    contest = _contest(0)
    found = mean_auroc([contest], BENIGN + ATTACKED)
    again = mean_auroc([contest], BENIGN + ATTACKED)
    assert found.behind(again) == (0.0, 0.0)
    better = mean_auroc([_contest(0, shift=1.1)], BENIGN + ATTACKED)
    gap, error = found.behind(better)
    alone = np.sqrt(np.square(found.influence).sum())
    assert gap > 0
    assert 0 < error < alone / 2  # what they share of the images' chance cancels


def test_the_jackknife_of_a_mean_has_the_means_error() -> None:
    values = np.random.default_rng(0).random(10)
    found = jackknifed(values.mean(), [np.delete(values, i).mean() for i in range(10)])
    assert np.sqrt(np.square(found.influence).sum()) == pytest.approx(values.std(ddof=1) / np.sqrt(10))
    assert found.parts == {}


def test_an_interval_ends_at_one() -> None:
    estimate = Quality(0.99, np.array([0.1, 0.1])).estimate
    assert estimate.high == 1.0
    assert estimate.low < 0.99
