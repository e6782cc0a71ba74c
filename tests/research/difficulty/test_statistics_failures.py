"""Too few runs, constant scores and data that do not fit are told in words, and nothing is not a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.research.difficulty import (
    bias_study,
    components_study,
    covariance_study,
    fingerprint_study,
    reliability_study,
    variance_study,
)
from detector.research.difficulty.bias import difference
from detector.research.difficulty.components import components
from detector.research.difficulty.covariance import covariance
from detector.research.difficulty.fingerprint import FingerprintOptions, fingerprint
from detector.research.difficulty.reliability import reliabilities
from detector.research.difficulty.scaling import correlation, informative
from detector.research.difficulty.statistics_options import StatisticsOptions
from detector.research.difficulty.table import ScoreTable
from detector.research.difficulty.variance import spread
from tests.support.difficulty import CNN, NAMES, NARROW, table

if TYPE_CHECKING:
    from collections.abc import Callable

RNG = np.random.default_rng(0)
OPTIONS = StatisticsOptions().small()
SOME = RNG.normal(size=(4, 2, 50))


@pytest.mark.parametrize(
    ("study", "runs", "message"),
    [
        (variance_study, 1, "2 runs of each architecture are needed, not 1"),
        (covariance_study, 1, "2 runs of each architecture are needed, not 1"),
        (components_study, 1, "2 runs of each architecture are needed, not 1"),
        (reliability_study, 2, "reliability needs 3 runs of each architecture, not 2"),
        (bias_study, 1, "2 runs of each architecture are needed, not 1"),
        (fingerprint_study, 3, "4 runs of each architecture are needed, not 3"),
    ],
)
def test_too_few_runs(study: Any, runs: int, message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        study.of_table(table(runs=runs), OPTIONS, "")


def test_too_few_architectures() -> None:
    alone = table(architectures=(CNN,))
    with pytest.raises(AnalysisError, match="bias needs two architectures"):
        bias_study.of_table(alone, OPTIONS, "")
    with pytest.raises(AnalysisError, match="2 architectures are needed, not 1"):
        fingerprint_study.of_table(alone, OPTIONS, "")


def test_too_few_examples() -> None:
    with pytest.raises(AnalysisError, match="3 examples are needed, not 2"):
        informative(table(examples=2), CNN)
    with pytest.raises(AnalysisError, match="components of 6 scores need more examples than 6"):
        components_study.of_table(table(examples=6), OPTIONS, "")
    with pytest.raises(AnalysisError, match="33 examples can't be chosen of 20"):
        fingerprint_study.of_table(table(examples=20), OPTIONS, "")


def test_scores_that_are_all_constant_are_named() -> None:
    constant = ScoreTable((NARROW, CNN), NAMES, np.zeros((2, 4, len(NAMES), 40)))
    for study in (variance_study, covariance_study, components_study, reliability_study, bias_study, fingerprint_study):
        with pytest.raises(AnalysisError, match=f"every score of {NARROW} is the same for all examples in some run"):
            study.of_table(constant, OPTIONS, "")


def test_a_score_that_is_to_be_drawn_must_have_ranks() -> None:
    given = table(runs=4)
    given.values[0, 1, 0] = 0.0
    for study in (bias_study, fingerprint_study):
        with pytest.raises(AnalysisError, match=f"avg-loss is the same for all examples in some run of {NARROW}"):
            study.of_table(given, OPTIONS, "")


def test_unknown_scores_are_told_with_those_there_are() -> None:
    for options in (StatisticsOptions(score="grand"), StatisticsOptions(scores=("avg-loss", "grand"))):
        with pytest.raises(AnalysisError, match="no score 'grand'; there are avg-loss, avg-conf"):
            fingerprint_study.of_table(table(), options, "")


def test_one_score_has_no_covariance_and_no_components() -> None:
    one = StatisticsOptions(scores=("avg-loss",))
    with pytest.raises(AnalysisError, match="covariance needs two scores"):
        covariance_study.of_table(table(), one, "")
    with pytest.raises(AnalysisError, match="components need 2 scores and 2 runs, not 1 and 8"):
        components_study.of_table(table(), one, "")


@pytest.mark.parametrize(
    "measure",
    [
        lambda values: covariance(values, draws=2, seed=0),
        lambda values: reliabilities(values, draws=2, seed=0),
        components,
    ],
)
def test_constant_rows_never_become_not_a_number(measure: Callable[[np.ndarray], object]) -> None:
    values = SOME.copy()
    values[2, 1] = 3.0
    with pytest.raises(AnalysisError, match="the same for all examples has no correlation"):
        measure(values)


def test_a_constant_row_has_no_correlation() -> None:
    with pytest.raises(AnalysisError, match="has no correlation"):
        correlation(np.ones(5), np.arange(5.0))


def test_unequal_data_are_not_compared() -> None:
    with pytest.raises(AnalysisError, match=r"as many runs, scores and examples, not \(4, 2, 50\) and \(4, 2, 49\)"):
        difference(SOME, SOME[..., 1:], permutations=10, seed=0)
    with pytest.raises(AnalysisError, match="must have as many runs and examples"):
        fingerprint([SOME[:, 0], SOME[:3, 0]], FingerprintOptions(sizes=(1,)))


def test_comparisons_need_runs_and_permutations() -> None:
    with pytest.raises(AnalysisError, match="a comparison needs 2 runs of each architecture and a permutation"):
        difference(SOME[:1], SOME[:1], permutations=10, seed=0)
    with pytest.raises(AnalysisError, match="a permutation, not 4 and 0"):
        difference(SOME, SOME, permutations=0, seed=0)


def test_averages_need_runs() -> None:
    with pytest.raises(AnalysisError, match="2 runs are needed, not 1"):
        covariance(SOME[:1], draws=2, seed=0)
    with pytest.raises(AnalysisError, match="bins must be at least 1, not 0"):
        spread(SOME, 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bins": 0}, "bins must be at least 1"),
        ({"draws": 0}, r"draws lie in 1\.\.10000"),
        ({"draws": 10_001}, r"draws lie in 1\.\.10000"),
        ({"permutations": 0}, r"permutations in 1\.\.100000"),
        ({"permutations": 100_001}, r"permutations in 1\.\.100000"),
        ({"level": 0.0}, "level must lie between 0 and 1, not 0"),
        ({"level": 1.0}, "level must lie between 0 and 1, not 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        StatisticsOptions(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sizes": ()}, "sizes must rise from 1"),
        ({"sizes": (0, 1)}, "sizes must rise from 1"),
        ({"sizes": (3, 1)}, "sizes must rise from 1"),
        ({"splits": 0}, "splits and random must be at least 1"),
        ({"random": 0}, "splits and random must be at least 1"),
    ],
)
def test_fingerprints_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        FingerprintOptions(**given)


def test_a_size_that_was_not_tried_is_not_told() -> None:
    found = fingerprint([SOME[:, 0], SOME[:, 1]], FingerprintOptions(sizes=(1, 3), splits=2, random=2))
    with pytest.raises(AnalysisError, match=r"2 examples were not tried, only \[1, 3\]"):
        found.recognised(2)
