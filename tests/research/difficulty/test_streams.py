"""What is kept from one checkpoint to the next gives what all checkpoints together would."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from detector.errors import AnalysisError
from detector.research.difficulty.kinds import (
    ACTIVATIONS,
    ENSEMBLE,
    FORGETTING,
    GRADIENTS,
    KINDS,
    POINTWISE,
    PRUNING,
)
from detector.research.difficulty.streams import Forgetting, Losing, Moments


def _forgetting(*sequences: list[int]) -> dict[str, list[float]]:
    stream = Forgetting(len(sequences))
    for right in np.array(sequences, bool).T:
        stream.add(right)
    return {name: values.tolist() for name, values in stream.scores().items()}


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_welford_agrees_with_numpy(offset: float) -> None:
    values = np.random.default_rng(0).normal(size=(9, 4, 3)) + offset
    moments = Moments((4, 3))
    for one in values:
        moments.add(one)
    np.testing.assert_allclose(moments.mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, values.var(0, ddof=1), rtol=1e-7)


def test_one_checkpoint_has_a_mean_and_no_variance() -> None:
    moments = Moments((2,))
    with pytest.raises(AnalysisError, match="1 checkpoints or more are needed, and 0 were seen"):
        _ = moments.mean
    moments.add(np.array([1.0, 2.0]))
    assert moments.mean.tolist() == [1, 2]
    with pytest.raises(AnalysisError, match="2 checkpoints or more are needed, and 1 were seen"):
        _ = moments.variance


def test_small_sequences_are_counted_as_by_hand() -> None:
    found = _forgetting([0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 0, 0, 1])
    assert found["countforget"] == [2, 0, 0, 1, 0]
    assert found["firstlearn"] == [1, 5, 0, 1, 4]
    assert found["firstunforgettable"] == [5, 5, 0, 3, 4]
    assert found["unforgettable"] == [0, 0, 1, 0, 1]
    assert set(found) == {kind.name for kind in FORGETTING}


def test_streams_agree_with_definitions_read_off_whole_sequences() -> None:
    sequences = np.random.default_rng(1).integers(0, 2, (200, 7))
    found = _forgetting(*sequences.tolist())
    for place, sequence in enumerate(sequences):
        assert found["countforget"][place] == np.sum(np.diff([0, *sequence]) == -1)
        assert found["firstlearn"][place] == next((t for t in range(7) if sequence[t]), 7)
        assert found["firstunforgettable"][place] == next((t for t in range(7) if sequence[t:].all()), 7)


def test_pruning_mirrors_training() -> None:
    stream = Losing(4)
    for right in np.array([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]], bool).T:
        stream.add(right)
    found = {name: KINDS[name].oriented(values).tolist() for name, values in stream.scores().items()}
    assert found == {"firstforget": [-2, -4, -1, 0], "firstunlearnable": [-2, -4, -3, 0]}
    assert set(found) == {kind.name for kind in PRUNING}


def test_without_a_checkpoint_there_is_no_score() -> None:
    with pytest.raises(AnalysisError, match="0 were seen"):
        Forgetting(3).scores()


def test_every_score_has_one_name_a_sign_and_a_source() -> None:
    assert len(KINDS) == 3 * 7 + 4 + 2 + 5 + 3 + 5
    for name, kind in KINDS.items():
        assert kind.name == name
        assert kind.sign in {-1, 1}
        assert kind.title
        assert kind.formula
        assert kind.source
    assert KINDS["avg-conf"].oriented(np.array([0.2])).tolist() == [-0.2]


def test_every_score_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "research" / "difficulty.md").read_text(encoding="utf-8")
    for kind in (*POINTWISE, *FORGETTING, *PRUNING, *GRADIENTS, *ACTIVATIONS, *ENSEMBLE):
        assert re.search(rf"^\| `{kind.name}` \| {re.escape(kind.title)} \|", page, re.MULTILINE), kind.name


def test_ties_of_forgetting_counts_share_their_mean_rank() -> None:
    found = _forgetting([0, 1, 0], [1, 1, 1], [1, 0, 1], [1, 1, 1])
    np.testing.assert_array_equal(rankdata(found["countforget"]) - 1, [2.5, 0.5, 2.5, 0.5])
