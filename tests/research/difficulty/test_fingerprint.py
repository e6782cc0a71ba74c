"""A fingerprint is chance where runs are alike, certain where an example parts them, never learnt from who is asked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import f_oneway

from detector.research.difficulty.fingerprint import FingerprintOptions, fingerprint, most_telling, verdicts
from detector.research.difficulty.scaling import percentiles
from tests.support.difficulty import CNN, NARROW, WIDE, table

RNG = np.random.default_rng(0)
FEW = FingerprintOptions(sizes=(1, 3, 9), splits=20, random=10)


def test_runs_that_are_exchangeable_are_told_at_chance() -> None:
    values, random, held = [], [], 0
    for _ in range(40):
        truth = RNG.normal(size=100)
        found = fingerprint([truth + RNG.normal(size=(6, 100)) for _ in range(2)], FEW)
        values.append([one.value for one in found.accuracy()])
        random.append([one.value for one in found.accuracy(random=True)])
        held += sum(one.low <= 0.5 <= one.high for one in found.accuracy())
    np.testing.assert_allclose(np.mean(values, 0), 0.5, atol=0.04)
    np.testing.assert_allclose(np.mean(random, 0), 0.5, atol=0.02)
    assert np.std(values) > np.std(random)
    assert 0.85 <= held / (40 * 3) <= 0.99


@pytest.mark.parametrize("count", [2, 3])
def test_runs_that_an_example_parts_are_told_for_certain(count: int) -> None:
    groups = [RNG.normal(size=(6, 200)) for _ in range(count)]
    for number, group in enumerate(groups):
        group[:, 17] += 100 * number
    found = fingerprint(groups, FEW)
    assert found.accuracy()[0].value == 1
    assert found.chosen[0] == 17
    np.testing.assert_array_equal(found.told[:, :, 0], np.eye(count))
    np.testing.assert_array_equal(found.by_split[:, 0], np.ones(20))
    assert found.recognised(1).flagged == 6 * count
    assert found.recognised(1).low > 0.7
    assert found.chance == 1 / count
    assert found.accuracy(random=True)[0].value == pytest.approx(found.chance, abs=0.1)


def test_a_single_example_decides_by_its_mid_point() -> None:
    groups = [RNG.normal(size=(4, 1)), RNG.normal(1, 1, size=(4, 1))]
    options = FingerprintOptions(sizes=(1,), splits=1, random=1, seed=5)
    rng = np.random.default_rng(5)
    orders = [rng.permutation(4) for _ in groups]
    means = [group[order[:2], 0].mean() for group, order in zip(groups, orders, strict=True)]
    middle, higher = sum(means) / 2, means[1] > means[0]
    right = []
    for number, (group, order) in enumerate(zip(groups, orders, strict=True)):
        right += [((group[run, 0] > middle) == higher) == bool(number) for run in sorted(order[2:])]
    found = fingerprint(groups, options)
    np.testing.assert_array_equal(found.selected[:, 0], right)
    assert found.by_split[0, 0] == np.mean(right)


def test_most_votes_win_and_ties_count_for_their_share() -> None:
    votes = np.array([[1.0, 0], [0, 1], [0, 1]])
    np.testing.assert_array_equal(verdicts(votes), [[1, 0], [0.5, 0.5], [0, 1]])
    thirds = np.full((2, 3), 1 / 3)
    np.testing.assert_allclose(verdicts(thirds), thirds)


def test_the_most_telling_are_those_of_largest_t_or_f() -> None:
    groups = [RNG.normal(size=(5, 30)) for _ in range(3)]
    groups[2][:, 4] += 9
    by_f = np.argsort(-f_oneway(*groups, axis=0).statistic)
    np.testing.assert_array_equal(most_telling(groups, 30), by_f)
    by_two = np.argsort(-f_oneway(*groups[:2], axis=0).statistic)  # of as many runs t squared is F
    np.testing.assert_array_equal(most_telling(groups[:2], 30), by_two)


def test_examples_on_which_all_runs_agree_are_the_first_or_the_last() -> None:
    groups = [RNG.normal(size=(4, 5)) for _ in range(3)]
    for number, group in enumerate(groups):
        group[:, 1], group[:, 3] = 0, number
    for some in (groups, groups[:2]):
        found = most_telling(some, 5)
        assert (found[0], found[-1]) == (3, 1)


def test_random_examples_are_right_oftener_the_more_they_are() -> None:
    given = table(runs=8)
    ranked = [percentiles(given.of(name, "avg-loss")) for name in (NARROW, CNN)]
    chosen, random = (fingerprint(ranked, FEW).accuracy(random=other) for other in (False, True))
    values = [one.value for one in random]
    assert values == sorted(values)
    assert chosen[0].value > random[0].value + 0.2


def test_widths_are_not_told_and_families_are() -> None:
    given = {name: percentiles(table(runs=8).of(name, "avg-loss")) for name in (NARROW, WIDE, CNN)}
    assert fingerprint([given[NARROW], given[CNN]], FEW).accuracy()[0].value > 0.95
    assert fingerprint([given[NARROW], given[WIDE]], FEW).accuracy()[0].value < 0.75
    together = fingerprint(list(given.values()), FEW)
    assert together.told[2, 2, 0] > 0.9
    np.testing.assert_allclose(together.told.sum(1), 1)


def test_an_odd_number_of_runs_asks_one_more_than_it_learns_from() -> None:
    found = fingerprint([RNG.normal(size=(5, 20)), RNG.normal(3, 1, size=(5, 20))], FEW)
    assert found.selected.shape == (10, 3)
    assert found.accuracy()[0].value > 0.8
