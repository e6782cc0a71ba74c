"""The twin of hidden paths: the same features, and gradients that are those of the features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.attacks.adaptive.guard import differentiable_guard
from detector.attacks.adaptive.hidden_paths import hidden_path_features
from detector.attacks.adaptive.walking import Walker
from detector.profiles import PathKind, PathPlan, PathProfile, PathTarget
from detector.scoring.features import profile_features
from detector.scoring.hidden_paths import hidden_path_features as plain_features
from detector.scoring.tap_statistics import TapStatistics, tap_statistics
from tests.support.guards import TAPPED, WHOLE, guarded, planned

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.embedded import EmbeddedDefault

    Attacked = tuple[Float32Array, NDArray[np.int64]]

PLAN = PathPlan((PathTarget(PathKind.PROTOTYPE), PathTarget(PathKind.BLUR)), (0.2, 0.4, 0.9), tapped=(0, 1))
SIZES = (4, 1, 6)


def _statistics() -> TapStatistics:
    rng = np.random.default_rng(0)
    taps = (rng.standard_normal((100, sum(SIZES))) * 3 + 1).astype(np.float32)
    taps[:, 7] = 2  # does not vary
    return tap_statistics(taps, rng.integers(0, 4, 100), classes=5, sizes=SIZES)


def _profile(seed: int = 1) -> PathProfile:
    """Walks of nine images, one of which moves nowhere."""
    rng = np.random.default_rng(seed)
    taps = (rng.standard_normal((9, 7, sum(SIZES))) * 3 + 1).astype(np.float32)
    taps[0] = taps[0, :1]
    return PathProfile(PLAN, rng.standard_normal((9, 2, 4, 5)).astype(np.float32), taps)


def _twin(profile: PathProfile, taps: torch.Tensor) -> torch.Tensor:
    predicted, runner_up = torch.from_numpy(profile.predicted), torch.from_numpy(profile.runner_up)
    return hidden_path_features(taps, PLAN, _statistics(), predicted, runner_up)


def test_the_features_are_those_of_the_guard() -> None:
    profile = _profile()
    found = _twin(profile, torch.tensor(profile.taps))
    np.testing.assert_allclose(found, plain_features(profile, _statistics()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("plan", [TAPPED, WHOLE], ids=["two paths", "one point"])
def test_they_are_the_last_of_a_walks_features(
    plan: PathPlan, digits: EmbeddedDefault, digits_bundle: Path, attacked: Attacked
) -> None:
    bundle, engine = planned(digits, digits_bundle, plan, hidden=True)
    walk = Walker(bundle).walk(torch.from_numpy(attacked[0]))
    wanted = profile_features(engine.profile(attacked[0]), bundle.parts.statistics)
    np.testing.assert_allclose(walk.features, wanted, atol=1e-3, rtol=1e-3)
    assert walk.features.dtype == torch.float32


def test_gradients_are_the_features_slopes_and_finite_where_nothing_moves() -> None:
    """Of random sums of all features along a random direction, against central differences in float64."""
    profile = _profile()
    random = torch.Generator().manual_seed(0)
    taps = torch.tensor(profile.taps, dtype=torch.float64).requires_grad_()
    features = _twin(profile, taps)
    weights = torch.randn(8, *features.shape, generator=random, dtype=torch.float64)
    gradients = [torch.autograd.grad((features * w).sum(), [taps], retain_graph=True)[0] for w in weights]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    way = torch.randn(taps.shape, generator=random, dtype=torch.float64)
    way[0] = 0  # a length of 0 has no slope
    with torch.no_grad():
        ahead, behind = (_twin(profile, taps + side * way) for side in (1e-6, -1e-6))
    slopes = ((ahead - behind) / 2e-6 * weights).sum((1, 2))
    np.testing.assert_allclose([float((g * way).sum()) for g in gradients], slopes, rtol=1e-5, atol=1e-6)
    assert slopes.abs().min() > 0.1


def test_an_attacker_who_holds_the_bundle_differentiates_them(
    digits: EmbeddedDefault, digits_bundle: Path, attacked: Attacked
) -> None:
    detector = guarded(digits, digits_bundle, WHOLE, hidden=True)
    guard = differentiable_guard(detector, attacked[0].repeat(2, axis=0), budgets=(0.1,), steps=2)
    images = torch.from_numpy(attacked[0]).requires_grad_()
    (gradient,) = torch.autograd.grad(guard.score(images).sum(), [images])
    assert torch.isfinite(gradient).all()
    assert gradient.abs().amax((1, 2, 3)).min() > 0
    scores, _ = guard.real_scores(guard.walker.walk(images.detach()))
    np.testing.assert_allclose(scores, detector.score_canonical(attacked[0]).scores, rtol=1e-3, atol=1e-3)
