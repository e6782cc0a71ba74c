from __future__ import annotations

import pytest
import torch

from detector.descent import Measured, descend

CENTRES = torch.tensor([[0.0, 0.0], [1.0, -1.0], [3.0, 2.0]])
START = torch.tensor([[0.01, 0.0], [0.5, 0.5], [-1.0, 0.0]])


def _distances(points: torch.Tensor, rows: torch.Tensor) -> Measured:
    losses = (points - CENTRES[rows]).square().sum(1)
    return Measured(losses, losses)


def _anywhere(points: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    del rows
    return points


def test_it_finds_the_minimum_of_each_problem() -> None:
    found = descend(START, _distances, _anywhere, steps=300, learning_rate=0.05)
    torch.testing.assert_close(found.points, CENTRES, atol=1e-2, rtol=0)
    assert found.steps.tolist() == [300] * 3


def test_a_problem_goes_where_it_would_go_alone_also_when_others_have_left() -> None:
    together = descend(START, _distances, _anywhere, steps=80, learning_rate=0.05, stop_loss=0.01)
    for row in range(3):

        def alone(points: torch.Tensor, rows: torch.Tensor, row: int = row) -> Measured:
            return _distances(points, rows + row)

        found = descend(START[row : row + 1], alone, _anywhere, steps=80, learning_rate=0.05, stop_loss=0.01)
        torch.testing.assert_close(found.points[0], together.points[row])
        assert found.steps[0] == together.steps[row]
    assert together.steps[0] == 0
    assert 0 < together.steps[1] < together.steps[2]


def test_settled_problems_cost_nothing() -> None:
    asked: list[int] = []

    def counted(points: torch.Tensor, rows: torch.Tensor) -> Measured:
        asked.append(len(rows))
        return _distances(points, rows)

    found = descend(START, counted, _anywhere, steps=300, learning_rate=0.05, stop_loss=0.01)
    assert asked[0] == 3
    assert asked == sorted(asked, reverse=True)
    assert len(asked) == int(found.steps.max()) + 1


def test_each_problem_may_settle_at_a_loss_of_its_own_but_not_before_its_least_steps() -> None:
    limits = torch.tensor([0.01, 0.0, 5.0])
    found = descend(START, _distances, _anywhere, steps=40, learning_rate=0.05, stop_loss=limits, least_steps=7)
    assert found.steps[0] == 7
    assert found.steps[1] == 40
    assert 7 < found.steps[2] < 40
    assert found.losses[2] < 5


def test_points_stay_where_they_may_be_and_the_best_is_kept() -> None:
    def below_one(points: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        del rows
        return points.clamp(max=1)

    found = descend(START, _distances, below_one, steps=300, learning_rate=0.05)
    torch.testing.assert_close(found.points[2], torch.tensor([1.0, 1.0]), atol=1e-2, rtol=0)
    assert (found.points <= 1).all()
    wild = descend(START, _distances, _anywhere, steps=7, learning_rate=5.0)
    assert (wild.losses <= _distances(START, torch.arange(3)).losses).all()
    last = descend(START, _distances, _anywhere, steps=7, learning_rate=5.0, keep_last=True)
    assert (last.losses > wild.losses).any()


def test_what_is_no_number_is_said_by_an_infinite_loss() -> None:
    def broken(points: torch.Tensor, rows: torch.Tensor) -> Measured:
        losses = points.sum(1) * torch.where(rows == 1, torch.nan, 1.0)
        return Measured(losses, losses)

    found = descend(START, broken, _anywhere, steps=2, learning_rate=0.1)
    assert found.losses.isinf().tolist() == [False, True, False]
    torch.testing.assert_close(found.points[1], START[1])


@pytest.mark.parametrize("steps", [0, 3])
def test_every_step_is_told(steps: int) -> None:
    told: list[int] = []
    descend(START, _distances, _anywhere, steps=steps, learning_rate=0.1, on_step=told.append)
    assert sum(told) == steps
