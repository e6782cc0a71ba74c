"""The twin of the guard's walk: the same features, and gradients that are those of the features."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.attacks.adaptive.walking import Walker, residuals
from detector.residuals import residual_statistics
from detector.scoring.features import CHANNELS, feature_names, profile_features
from tests.support.guards import PLAIN, RESIDUAL, TAPPED, VIEWED, WHOLE, planned

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.detector import Detector
    from detector.embedded import EmbeddedDefault
    from detector.profiles import PathPlan

    Attacked = tuple[Float32Array, NDArray[np.int64]]


@pytest.mark.parametrize(
    "plan",
    [PLAIN, VIEWED, TAPPED, RESIDUAL, replace(WHOLE, residuals=True)],
    ids=["plain", "views", "taps", "residuals", "all of them"],
)
def test_the_features_are_those_of_the_guard(
    plan: PathPlan, digits: EmbeddedDefault, digits_bundle: Path, attacked: Attacked
) -> None:
    bundle, engine = planned(digits, digits_bundle, plan)
    noisy = np.clip(attacked[0] + np.random.default_rng(0).uniform(-0.3, 0.3, attacked[0].shape), 0, 1)
    images = np.concatenate([attacked[0], noisy.astype(np.float32), np.zeros_like(attacked[0][:1])])
    profile = engine.profile(images)
    walk = Walker(bundle).walk(torch.from_numpy(images))
    np.testing.assert_allclose(walk.features, profile_features(profile), atol=1e-4, rtol=1e-4)
    np.testing.assert_array_equal(walk.predicted, profile.predicted)
    np.testing.assert_allclose(walk.image_logits, profile.image_logits, atol=1e-4, rtol=1e-4)
    points = plan.forwards_per_image
    assert walk.channels.shape[1] == len(feature_names(plan)) == len(CHANNELS) * points
    assert (walk.features.shape[1] > walk.channels.shape[1]) == bool(plan.tapped or plan.residuals)


def test_gradients_are_the_features_slopes(one_class: Detector, attacked: Attacked) -> None:
    """Of random sums of all features along a random direction, against central differences in float64."""
    walker = _in_float64(Walker(one_class.bundle))
    random = torch.Generator().manual_seed(0)
    images = torch.from_numpy(attacked[0][:2]).double() * 0.8 + 0.1
    # A residual of zero has no slope.
    images = (images + 0.05 * torch.rand(images.shape, generator=random, dtype=torch.float64)).requires_grad_()
    way = torch.randn(images.shape, generator=random, dtype=torch.float64)
    features = walker.walk(images).features
    weights = torch.randn(8, *features.shape, generator=random, dtype=torch.float64)
    with torch.no_grad():
        ahead, behind = (walker.walk(images + side * way).features for side in (1e-6, -1e-6))
    slopes = ((ahead - behind) / 2e-6 * weights).sum((1, 2))
    gradients = [torch.autograd.grad((features * w).sum(), [images], retain_graph=True)[0] for w in weights]
    np.testing.assert_allclose([float((g * way).sum()) for g in gradients], slopes, rtol=1e-4, atol=1e-3)
    assert slopes.abs().min() > 0.1


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 17, 40), (3, 33, 16)], ids=str)
def test_residuals_are_the_guards_whatever_the_shape(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).random((4, *shape), np.float32)
    twin = residuals(torch.from_numpy(images))
    np.testing.assert_allclose(twin, residual_statistics(images), atol=1e-4, rtol=1e-4)


def _in_float64(walker: Walker) -> Walker:
    """Differences need the digits."""
    module = walker.classifier._rows.module.double().get_submodule("module")

    class Answering:
        def answers(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits, taps = module(images)
            return logits, taps

    walker.classifier = Answering()  # type: ignore[assignment]  # all that a walker asks of it
    parts = ("prototypes", "_rows", "_columns", "_alphas")
    for part in parts:
        setattr(walker, part, getattr(walker, part).double())
    return walker


def test_the_twin_neither_learns_nor_trains(one_class: Detector) -> None:
    module = Walker(one_class.bundle).classifier._rows.module
    assert not any(part.training for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.parameters())
