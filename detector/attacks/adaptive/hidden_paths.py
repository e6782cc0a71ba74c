"""Hidden paths once more, in differentiable torch operations: twin of `detector.scoring.hidden_paths`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from detector.scoring.hidden_paths import LEAST_LENGTH, tapped_rows

if TYPE_CHECKING:
    from torch import Tensor

    from detector.profiles import PathPlan
    from detector.scoring.tap_statistics import TapStatistics

_LEAST_SQUARE = 1e-24  # where nothing moves the root has no gradient; far below what counts as a length


def hidden_path_features(
    taps: Tensor, plan: PathPlan, statistics: TapStatistics, predicted: Tensor, runner_up: Tensor
) -> Tensor:
    """float64 (N, features): as `detector.scoring.hidden_paths.hidden_path_features`, with gradients.

    Args:
        taps: float32 (N, tapped points, numbers).
        plan: Which paths were tapped.
        statistics: Of the taps.
        predicted: int64 (N,), the predicted classes.
        runner_up: int64 (N,), the classes with the second largest logits.
    """
    mean, units, points = map(torch.tensor, (statistics.mean, statistics.units, statistics.points))
    moved = (taps.double() - mean) * units
    found = []
    for layer in statistics.layers:
        hidden = moved[:, :, layer]
        for path in tapped_rows(plan):
            found += _geometry(hidden[:, path])
        found += _nearness(hidden, points[:, layer], predicted, runner_up)
    return torch.cat(found, dim=1)


def _geometry(path: Tensor) -> list[Tensor]:
    """Slack, chord, shares and cosines of paths (N, points, numbers)."""
    steps = path.diff(dim=1)
    lengths = _lengths(steps)
    total = lengths.sum(1, keepdim=True)
    chord = _lengths(path[:, -1:] - path[:, :1]).clamp_min(LEAST_LENGTH).log()
    sized = lengths.clamp_min(LEAST_LENGTH)
    shares = sized.log() - total.clamp_min(LEAST_LENGTH * steps.shape[1]).log()
    turns = (steps[:, 1:] * steps[:, :-1]).sum(2) / (sized[:, 1:] * sized[:, :-1])
    return [total.clamp_min(LEAST_LENGTH).log() - chord, chord, shares, turns]


def _nearness(hidden: Tensor, centres: Tensor, predicted: Tensor, runner_up: Tensor) -> list[Tensor]:
    """The channels of `NEARNESS` of layers (N, points, numbers) and centres (classes, numbers)."""
    products = hidden @ centres.T
    squares, centre_squares = hidden.square().sum(2, keepdim=True), centres.square().sum(1)
    sized = _root(squares).clamp_min(LEAST_LENGTH) * _root(centre_squares).clamp_min(LEAST_LENGTH)
    similarity = products / sized
    distance = _root(squares - 2 * products + centre_squares)
    own, away = _of(similarity, predicted), _of(distance, predicted)
    others = predicted[:, None, None].expand(-1, similarity.shape[1], 1)
    return [
        own,
        own - _of(similarity, runner_up),
        own - similarity.scatter(2, others, -torch.inf).amax(2),
        away,
        distance.scatter(2, others, torch.inf).amin(2) - away,
    ]


def _of(values: Tensor, classes: Tensor) -> Tensor:
    """(N, points): one class's of values (N, points, classes)."""
    return values.gather(2, classes[:, None, None].expand(-1, values.shape[1], 1))[..., 0]


def _lengths(moves: Tensor) -> Tensor:
    return _root(moves.square().sum(-1))


def _root(squares: Tensor) -> Tensor:
    return squares.clamp_min(_LEAST_SQUARE).sqrt()
