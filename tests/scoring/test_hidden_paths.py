"""Theorems of hidden paths, and answers known beforehand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.profiles import PathKind, PathPlan, PathProfile, PathTarget
from detector.scoring.features import feature_names, profile_features
from detector.scoring.hidden_paths import LEAST_LENGTH, NEARNESS, hidden_path_features, hidden_path_names
from detector.scoring.tap_statistics import TapStatistics, tap_statistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

PLAN = PathPlan(
    (PathTarget(PathKind.PROTOTYPE), PathTarget(PathKind.RUNNER_UP_PROTOTYPE), PathTarget(PathKind.BLUR)),
    (0.1, 0.4, 0.7, 1.0),
    tapped=(0, 2),
)
SIZES = (5, 1, 8)
NUMBERS, CLASSES, IMAGES = sum(SIZES), 4, 20
ALPHAS = np.array([0.0, *PLAN.alphas])
NAMES = hidden_path_names(PLAN, len(SIZES))


def _benign(seed: int = 0) -> tuple[Float32Array, NDArray[np.int64]]:
    """Taps of 200 images whose numbers differ in mean and spread, and around a centre of each class."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, CLASSES, 200)
    centres = 2 * rng.standard_normal((CLASSES, NUMBERS))
    taps = (rng.standard_normal((200, NUMBERS)) + centres[classes]) * rng.uniform(0.5, 3, NUMBERS)
    return (taps + rng.uniform(-5, 5, NUMBERS)).astype(np.float32), classes


def _statistics(taps: Float32Array | None = None) -> TapStatistics:
    given, classes = _benign()
    return tap_statistics(given if taps is None else taps, classes, classes=CLASSES, sizes=SIZES)


def _profile(taps: Float32Array, seed: int = 1) -> PathProfile:
    logits = np.random.default_rng(seed).standard_normal((len(taps), 3, 5, CLASSES)).astype(np.float32)
    return PathProfile(PLAN, logits, taps)


def _walks(seed: int = 2) -> Float32Array:
    """Taps (images, 1 + 2 * 4, numbers) of two walks from each image, whose steps all count as lengths."""
    rng = np.random.default_rng(seed)
    start = _benign()[0][:IMAGES, None]
    steps = rng.uniform(0.5, 2, (IMAGES, 2, 4, NUMBERS)) * rng.choice([-1, 1], (IMAGES, 2, 4, NUMBERS))
    moves = np.cumsum(steps, axis=2).reshape(IMAGES, 8, NUMBERS)
    return np.concatenate([start, start + moves], axis=1).astype(np.float32)


def _named(taps: Float32Array, statistics: TapStatistics | None = None) -> dict[str, NDArray[np.float64]]:
    found = hidden_path_features(_profile(taps), statistics or _statistics())
    assert found.shape == (len(taps), len(NAMES))
    return dict(zip(NAMES, found.T, strict=True))


def _of(named: dict[str, NDArray[np.float64]], *channels: str) -> NDArray[np.float64]:
    """All features of some channels, (features, images)."""
    return np.array(
        [values for name, values in named.items() if name.split("[")[0].removeprefix("hidden_") in channels]
    )


def _straight(seed: int = 3) -> Float32Array:
    """Both paths lead straight to random ends, at the alphas of the plan."""
    rng = np.random.default_rng(seed)
    start, ends = _benign()[0][:IMAGES], 4 * rng.standard_normal((IMAGES, 2, NUMBERS))
    along = [start[:, None] + ALPHAS[1:, None] * ends[:, [path]] for path in range(2)]
    return np.concatenate([start[:, None], *along], axis=1).astype(np.float32)


def test_there_is_a_feature_for_every_name_and_no_two_have_one() -> None:
    assert len(set(NAMES)) == len(NAMES) == len(SIZES) * (2 * (2 + 4 + 3) + len(NEARNESS) * 9)
    assert hidden_path_names(PLAN, 0) == ()
    assert hidden_path_names(replace(PLAN, alphas=(0.5,), tapped=(2,)), 1) == (
        "hidden_slack[0]@blur",
        "hidden_chord[0]@blur",
        "hidden_share[0]@blur:0.5",
        *(f"hidden_{name}[0]@{point}" for name in NEARNESS for point in ("image", "blur:0.5")),
    )


def test_a_straight_path_has_slack_1_cosines_1_and_the_shares_of_its_alphas() -> None:
    named = _named(_straight())
    np.testing.assert_allclose(np.exp(_of(named, "slack")), 1, atol=1e-5)
    np.testing.assert_allclose(_of(named, "turn"), 1, atol=1e-4)
    shares = np.exp(_of(named, "share")).reshape(len(SIZES), 2, 4, IMAGES)
    np.testing.assert_allclose(shares, np.broadcast_to(np.diff(ALPHAS)[:, None], shares.shape), rtol=1e-3)


def test_no_path_is_shorter_than_its_chord_and_shares_make_a_whole() -> None:
    named = _named(_walks())
    assert _of(named, "slack").min() >= 0
    assert _of(named, "slack").max() > 1
    np.testing.assert_allclose(np.exp(_of(named, "share")).reshape(len(SIZES), 2, 4, IMAGES).sum(2), 1, rtol=1e-9)
    assert np.abs(_of(named, "turn", "similarity")).max() <= 1 + 1e-9


def test_turning_back_has_a_cosine_of_minus_1_and_a_chord_of_what_is_left() -> None:
    taps = np.repeat(_benign()[0][:IMAGES, None], 9, axis=1)
    taps[:, 1:5:2] += 3  # there and back, twice, on the first path
    named = _named(taps)
    back = np.array(
        [named[f"hidden_turn[{layer}]@prototype[0]:{alpha:g}"] for layer in range(3) for alpha in (0.1, 0.4, 0.7)]
    )
    np.testing.assert_allclose(back, -1, atol=1e-6)
    np.testing.assert_allclose([named[f"hidden_chord[{i}]@prototype[0]"] for i in range(3)], np.log(LEAST_LENGTH))


def test_what_does_not_move_has_no_slack_even_shares_and_cosines_of_0() -> None:
    named = _named(np.repeat(_benign()[0][:IMAGES, None], 9, axis=1))
    np.testing.assert_array_equal(_of(named, "slack", "turn"), 0)
    np.testing.assert_allclose(_of(named, "chord"), np.log(LEAST_LENGTH))
    np.testing.assert_allclose(_of(named, "share"), np.log(1 / 4))


@pytest.mark.parametrize("layer", range(len(SIZES)))
@pytest.mark.parametrize("factor", [-7.0, 0.01, 300.0])
def test_another_scale_and_origin_of_a_layer_change_nothing(layer: int, factor: float) -> None:
    """A classifier whose layer is scaled is the same classifier, once its statistics are taken anew."""
    walks, (benign, _) = _walks(), _benign()
    part = _statistics().layers[layer]
    scaled, other = walks.astype(np.float64), benign.astype(np.float64)
    for taps in (scaled, other):
        taps[..., part] = factor * taps[..., part] + 2
    found = _named(scaled.astype(np.float32), _statistics(other.astype(np.float32)))
    for name, values in _named(walks).items():
        np.testing.assert_allclose(found[name], values, rtol=2e-4, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("factor", [3.0, 8.0])
def test_a_path_enlarged_keeps_all_of_its_shape_but_the_chord(factor: float) -> None:
    walks = _walks()
    start = walks[:, :1]
    small, large = _named(walks), _named(start + np.float32(factor) * (walks - start))
    np.testing.assert_allclose(_of(large, "slack", "share", "turn"), _of(small, "slack", "share", "turn"), atol=1e-4)
    np.testing.assert_allclose(_of(large, "chord") - _of(small, "chord"), np.log(factor), atol=1e-4)


def test_a_layer_turned_round_keeps_everything() -> None:
    """Lengths, angles and class means know no axes: a rotation of standardised taps is not seen."""
    statistics = replace(_statistics(), mean=np.zeros(NUMBERS, np.float32), inverse_scale=np.ones(NUMBERS, np.float32))
    turn = np.eye(NUMBERS)
    for part in statistics.layers:
        size = part.stop - part.start
        turn[part, part] = np.linalg.qr(np.random.default_rng(size).standard_normal((size, size)))[0]
    walks = _walks()
    turned = _named(
        (walks @ turn).astype(np.float32), replace(statistics, centres=(statistics.centres @ turn).astype(np.float32))
    )
    for name, values in _named(walks, statistics).items():
        np.testing.assert_allclose(turned[name], values, rtol=1e-3, atol=1e-4, err_msg=name)


def test_an_image_at_its_class_centre_is_as_near_as_can_be() -> None:
    statistics = _statistics()
    profile = _profile(_walks())
    assert profile.taps is not None
    spread = np.where(statistics.inverse_scale > 0, 1 / statistics.inverse_scale, 0)
    taps = profile.taps.copy()
    taps[:, 0] = statistics.mean + statistics.centres[profile.predicted] * spread
    named = _named(taps)
    np.testing.assert_allclose([named[f"hidden_similarity[{i}]@image"] for i in range(3)], 1, atol=1e-5)
    np.testing.assert_allclose([named[f"hidden_distance[{i}]@image"] for i in range(3)], 0, atol=1e-5)
    assert min(named[f"hidden_closeness[{i}]@image"].min() for i in range(3)) > 0
    assert min(named[f"hidden_lead[{i}]@image"].min() for i in (0, 2)) > 0


def test_known_answers_of_one_layer_of_two_numbers_and_two_classes() -> None:
    """Centres at (1, 0) and (0, 1); the image at (1, 1) goes up to (1, 2) and right to (2, 2)."""
    unit = np.ones(2, np.float32)
    statistics = TapStatistics((2,), 0 * unit, unit, np.eye(2, dtype=np.float32))
    plan = PathPlan((PathTarget(PathKind.BLUR),), (0.5, 0.6), tapped=(0,))
    taps = np.array([[[1, 1], [1, 2], [2, 2]]], np.float32)
    logits = np.array([[[[2, 1]] * 3]], np.float32)
    found = hidden_path_features(PathProfile(plan, logits, taps), statistics)[0]
    root, half = np.sqrt(2), np.sqrt(0.5)
    wanted = {
        "slack": [np.log(root)],
        "chord": [0.0],
        "share": [np.log(0.5)] * 2,
        "turn": [0.0],
        "similarity": [half, 1 / np.sqrt(5), half],
        "lead_over_runner_up": [0, -1 / np.sqrt(5), 0],
        "lead": [0, -1 / np.sqrt(5), 0],
        "distance": [half, root, np.sqrt(2.5)],
        "closeness": [0, 1 - root, 0],
    }
    np.testing.assert_allclose(found, np.concatenate(list(wanted.values())), atol=1e-9)


def test_with_two_classes_the_runner_up_is_the_best_other() -> None:
    benign, classes = _benign()
    statistics = tap_statistics(benign, classes % 2, classes=2, sizes=SIZES)
    profile = replace(_profile(_walks()), logits=_profile(_walks()).logits[..., :2])
    named = dict(zip(NAMES, hidden_path_features(profile, statistics).T, strict=True))
    np.testing.assert_allclose(_of(named, "lead"), _of(named, "lead_over_runner_up"), atol=1e-12)


def test_layers_are_read_apart() -> None:
    walks = _walks()
    statistics = _statistics()
    for layer, part in enumerate(statistics.layers):
        moved = walks.copy()
        moved[:, 3, part] += 1
        before, after = _named(walks), _named(moved)
        changed = {name for name in NAMES if (before[name] != after[name]).any()}
        assert changed
        assert all(f"[{layer}]@prototype[0]" in name for name in changed)


def test_the_scorers_features_end_with_them_and_are_otherwise_as_without() -> None:
    profile, statistics = _profile(_walks()), _statistics()
    plain, more = profile_features(profile), profile_features(profile, statistics)
    names = feature_names(PLAN, NUMBERS, 0, len(SIZES))
    np.testing.assert_array_equal(more[:, : plain.shape[1]], plain)
    np.testing.assert_allclose(more[:, plain.shape[1] :], hidden_path_features(profile, statistics), rtol=1e-6)
    assert more.shape[1] == len(names)
    assert names[plain.shape[1] :] == NAMES
    assert names[: plain.shape[1]] == feature_names(PLAN, NUMBERS)
