"""Hidden paths: how a tapped layer moves while the image walks a tapped path, and which class it is near meanwhile.

A straight line of images is no straight line inside the classifier. Per layer, in standard deviations of benign images:
the path's slack (its length over its chord, Lange et al., *Neural networks as paths through the space of
representations*, arXiv 2206.10999), its chord, how its steps share its length, and the cosines between one step and the
next; and at every point the similarity to the mean of the predicted class, a kernel score with a linear kernel, and the
distance from it, each beside those of other classes. The classifier is asked no more than for the taps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.profiles import logits_of, path_margins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.profiles import PathPlan, PathProfile
    from detector.scoring.tap_statistics import TapStatistics

    Doubles = NDArray[np.float64]

LEAST_LENGTH: Final = 1e-3
"""Standard deviations, root mean square over a layer's numbers: what is shorter counts as so long. A layer that does
not move so has no slack, steps of equal share and cosines of 0."""
PREFIX: Final = "hidden_"
"""How the names of all these channels begin."""
NEARNESS: Final = ("similarity", "lead_over_runner_up", "lead", "distance", "closeness")
"""Channels at every tapped point, per layer: the cosine with the predicted class's centre; what that is above the
runner-up class's, and above the largest of another class; the distance from the predicted class's centre; and what the
smallest distance from another class's is above it."""


def hidden_path_names(plan: PathPlan, layers: int) -> tuple[str, ...]:
    """The names of the features, in order: per layer, the path's, then those of `NEARNESS`.

    ``hidden_slack[i]@path`` and ``hidden_chord[i]@path``, ``hidden_share[i]@path:alpha`` of the step that ends there,
    ``hidden_turn[i]@path:alpha`` where a step ends and another begins; then ``hidden_channel[i]@point``.

    Args:
        plan: Of the profile.
        layers: Tapped layers; 0 where hidden paths are not read.
    """
    return tuple(name for layer in range(layers) for name in _names(plan, layer))


def _names(plan: PathPlan, layer: int) -> list[str]:
    found = []
    for target in (plan.targets[at].name for at in plan.tapped):
        steps = [f"{target}:{alpha:.4g}" for alpha in plan.alphas]
        found += [f"{PREFIX}slack[{layer}]@{target}", f"{PREFIX}chord[{layer}]@{target}"]
        found += [f"{PREFIX}share[{layer}]@{step}" for step in steps]
        found += [f"{PREFIX}turn[{layer}]@{step}" for step in steps[:-1]]
    return found + [f"{PREFIX}{name}[{layer}]@{point}" for name in NEARNESS for point in plan.tapped_points]


def hidden_path_features(profile: PathProfile, statistics: TapStatistics) -> Doubles:
    """Read the hidden paths of a profile.

    Args:
        profile: N images' path profile, with taps.
        statistics: Of the same taps.

    Returns:
        float64 (N, features), in the order of `hidden_path_names`.
    """
    assert profile.taps is not None, "hidden paths are read from taps"
    moved = (profile.taps.astype(np.float64) - statistics.mean) * statistics.units
    found = []
    for layer in statistics.layers:
        hidden = moved[:, :, layer]
        for path in tapped_rows(profile.plan):
            found += _geometry(hidden[:, path])
        found += _nearness(hidden, statistics.points[:, layer], profile.predicted, profile.runner_up)
    return np.concatenate(found, axis=1)


def tapped_rows(plan: PathPlan) -> list[list[int]]:
    """Which of the tapped points each tapped path goes through, the image first."""
    points = len(plan.alphas)
    return [[0, *range(1 + at * points, 1 + (at + 1) * points)] for at in range(len(plan.tapped))]


def _geometry(path: Doubles) -> list[Doubles]:
    """Of hidden paths (N, points, numbers): slack, chord, shares and cosines, each (N, how many there are)."""
    steps = np.diff(path, axis=1)
    lengths = _lengths(steps)
    total = lengths.sum(axis=1, keepdims=True)
    chord = np.log(np.maximum(_lengths(path[:, -1:] - path[:, :1]), LEAST_LENGTH))
    sized = np.maximum(lengths, LEAST_LENGTH)
    shares = np.log(sized) - np.log(np.maximum(total, LEAST_LENGTH * steps.shape[1]))
    turns = np.sum(steps[:, 1:] * steps[:, :-1], axis=2) / (sized[:, 1:] * sized[:, :-1])
    return [np.log(np.maximum(total, LEAST_LENGTH)) - chord, chord, shares, turns]


def _nearness(
    hidden: Doubles, centres: Doubles, predicted: NDArray[np.int64], runner_up: NDArray[np.int64]
) -> list[Doubles]:
    """The channels of `NEARNESS`, each (N, points), of layers (N, points, numbers) and centres (classes, numbers)."""
    products = hidden @ centres.T
    squares, centre_squares = np.square(hidden).sum(axis=2, keepdims=True), np.square(centres).sum(axis=1)
    sized = (np.maximum(np.sqrt(part), LEAST_LENGTH) for part in (squares, centre_squares))
    similarity = products / np.multiply(*sized)
    distance = np.sqrt(np.maximum(squares - 2 * products + centre_squares, 0))
    own = logits_of(similarity, predicted)
    return [
        own,
        own - logits_of(similarity, runner_up),
        path_margins(similarity, predicted),
        logits_of(distance, predicted),
        path_margins(-distance, predicted),
    ]


def _lengths(moves: Doubles) -> Doubles:
    """Euclidean, along the last axis."""
    found: Doubles = np.sqrt(np.square(moves).sum(axis=-1))
    return found
