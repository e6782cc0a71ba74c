"""The ball, the steps, and which iterate is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from detector.attacks.adaptive.ball import Ball
from detector.attacks.adaptive.descent import Standing, Steps, descend, even, unit
from detector.attacks.adaptive.judging import WON, badness
from detector.attacks.adaptive.margins import margins, soft_margins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.attacks.adaptive.guard import DifferentiableGuard
    from detector.classifiers.base import Float32Array

LABELS = np.array([0, 0, 0, 0])
LOGITS = np.array([[3, 1, 0], [1, 0, 0], [0, 2, 0], [0, 1, 5]], np.float32)


@given(st.integers(0, 255), st.integers(0, 255), st.integers(1, 255), st.floats(-2, 2))
def test_whole_levels_of_the_ball_are_all_those_within_the_budget(at: int, to: int, radius: int, off: float) -> None:
    image = torch.full((1, 1, 1, 1), at / 255)
    ball = Ball.around(image, radius / 255)
    moved = round(float(ball.whole_levels(torch.full_like(image, to / 255))) * 255)
    assert moved == min(max(to, at - radius), at + radius)
    stray = float(ball.whole_levels(torch.full_like(image, off))) * 255
    assert abs(stray - round(stray)) < 1e-3
    assert max(at - radius, 0) - 1e-3 <= stray <= min(at + radius, 255) + 1e-3


def test_a_random_point_is_anywhere_in_the_ball() -> None:
    ball = Ball.around(torch.full((1, 1, 50, 50), 100 / 255), 10 / 255)
    point = ball.random(torch.Generator().manual_seed(0))
    assert torch.equal(point, ball.nearest(point))
    assert point.min() < 92 / 255
    assert point.max() > 108 / 255


def test_steps_shrink_to_a_tenth() -> None:
    steps = Steps(count=10, size=0.2)
    sizes = [steps.size_at(step) for step in range(11)]
    assert sizes[0] == pytest.approx(0.2)
    assert sizes[10] == pytest.approx(0.02)
    assert sizes == sorted(sizes, reverse=True)


def test_margins_of_known_logits() -> None:
    assert margins(torch.from_numpy(LOGITS), torch.from_numpy(LABELS)).tolist() == [2, 1, -2, -5]


def test_soft_margins_are_the_margins_with_the_gradient_of_the_cross_entropy() -> None:
    logits, labels = torch.from_numpy(LOGITS).requires_grad_(), torch.from_numpy(LABELS)
    soft = soft_margins(logits, labels)
    assert torch.equal(soft, margins(logits, labels))
    (slope,) = torch.autograd.grad(soft.sum(), [logits])
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    (wanted,) = torch.autograd.grad(losses.sum(), [logits])
    # Per image the two point opposite ways: the loss is a falling function of the log-odds.
    cosines = torch.nn.functional.cosine_similarity(slope, wanted, dim=1)
    np.testing.assert_allclose(cosines, -1, atol=1e-6)


def test_directions_have_the_length_of_a_step() -> None:
    direction = torch.tensor([[[[3.0, -4.0], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 0.0]]]])
    assert unit(direction)[0].flatten().tolist() == [1, -1, 0, 0]
    np.testing.assert_allclose(even(direction)[0].flatten(), [1.2, -1.6, 0, 0], rtol=1e-6)
    assert not even(direction)[1].any()


def test_badness_is_an_order_class_first_then_p_value_then_score() -> None:
    scores = np.array([1, 1, 9, 2], np.float32)
    p_values = np.array([0.9, 0.9, 0.01, 0.01])
    found = badness(LOGITS, LABELS, scores, p_values)
    assert found.argsort().tolist() == [3, 2, 1, 0]  # equal p-values: the lower score
    assert ((found <= 1) == np.array([False, False, True, True])).all()
    assert (found < 3).all()
    passed = badness(LOGITS[2:], LABELS[2:], scores[2:], np.array([0.5, 0.6]))
    assert ((passed < WON) == np.array([False, True])).all()


def test_the_best_iterate_is_kept_and_what_is_won_is_left_alone(
    guard: DifferentiableGuard, attacked: tuple[Float32Array, NDArray[np.int64]]
) -> None:
    """A rule that runs into a wall: nothing found gets worse all the same, and it is asked about open images alone."""
    images, labels = (torch.from_numpy(part) for part in attacked)
    ball = Ball.around(images, 0.2)
    asked: list[Standing] = []

    def rule(at: Standing) -> torch.Tensor:
        asked.append(at)
        return torch.ones_like(at.images)

    found = descend(guard, ball, labels, rule, Steps(count=3, size=0.1), start=images)
    assert [len(at.rows) for at in asked] == sorted((len(at.rows) for at in asked), reverse=True)
    with torch.no_grad():
        walk = guard.walker.walk(found.images)
    scores, p_values = guard.real_scores(walk)
    answers = badness(walk.image_logits.numpy(), labels.numpy(), scores, p_values)
    np.testing.assert_allclose(found.badness, answers, atol=1e-3)
    for at in asked:
        logits = at.walk.image_logits.detach().numpy()
        there = badness(logits, at.labels.numpy(), *guard.real_scores(at.walk))
        assert (found.badness[at.rows.numpy()] <= there).all()
    won = descend(guard, ball, (walk.predicted + 1) % 10, rule, Steps(count=1, size=0.1), start=found.images)
    assert set(won.open) == set(np.flatnonzero(p_values <= 1 - WON)) | set(won.open)
