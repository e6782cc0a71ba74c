"""What a checkpoint says of each example: ranges, known small answers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.research.difficulty.kinds import KINDS, POINTWISE
from detector.research.difficulty.pointwise import pointwise

_NAMES = [kind.name for kind in POINTWISE]


def _scores(logits: list[list[float]] | np.ndarray, labels: list[int]) -> dict[str, np.ndarray]:
    return dict(zip(_NAMES, pointwise(np.asarray(logits), np.asarray(labels)), strict=True))


def test_two_examples_are_scored_as_by_hand() -> None:
    found = _scores(np.log([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]]), [0, 1])
    assert found["acc"].tolist() == [1, 0]
    np.testing.assert_allclose(found["ent"], [0.801819, 1.029653], atol=1e-6)
    np.testing.assert_allclose(found["conf"], [0.7, 0.3])
    np.testing.assert_allclose(found["maxconf"], [0.7, 0.5])
    np.testing.assert_allclose(found["margin"], [0.5, -0.2])
    np.testing.assert_allclose(found["el2n"], np.sqrt([0.14, 0.78]))
    np.testing.assert_allclose(found["loss"], -np.log([0.7, 0.3]))


def test_scores_stay_in_their_ranges_however_sure_a_network_is() -> None:
    logits = np.random.default_rng(0).normal(size=(500, 10)) * np.logspace(-2, 4, 500)[:, None]
    found = _scores(logits, (np.arange(500) % 10).tolist())
    assert np.isfinite(np.stack(list(found.values()))).all()
    for name, low, high in [
        ("acc", 0, 1),
        ("ent", 0, np.log(10)),
        ("conf", 0, 1),
        ("maxconf", 0.1, 1),
        ("margin", -1, 1),
        ("el2n", 0, np.sqrt(2)),
        ("loss", 0, np.inf),
    ]:
        assert found[name].min() >= low - 1e-12, name
        assert found[name].max() <= high + 1e-12, name
    assert found["el2n"].max() == pytest.approx(np.sqrt(2))
    assert found["ent"].min() == 0


def test_higher_is_harder_for_every_score_once_oriented() -> None:
    """Of two examples, the one whose label the network doubts is the harder one by every score."""
    found = _scores([[4.0, 0.0, 0.0], [0.1, 0.2, 0.0]], [0, 0])
    for kind in POINTWISE:
        easy, hard = kind.oriented(found[kind.name])
        assert hard > easy, kind.name
        assert KINDS[f"avg-{kind.name}"].sign == KINDS[f"last-{kind.name}"].sign == kind.sign


@pytest.mark.parametrize(
    ("logits", "labels", "said"),
    [
        (np.zeros((2, 1)), [0, 0], "two classes or more"),
        (np.zeros((2, 3)), [0], "a label for each"),
        (np.full((2, 3), np.nan), [0, 0], "lower the learning rate"),
        (np.full((2, 3), np.inf), [0, 0], "lower the learning rate"),
    ],
)
def test_what_is_no_answer_is_refused(logits: np.ndarray, labels: list[int], said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        _scores(logits, labels)
