from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from detector.attacks.carlini_wagner import CwOptions, carlini_wagner
from detector.attacks.library import run_attack
from detector.attacks.threat_models import cw, pgd_l2
from detector.classifiers.base import ChannelOrder, ImageSpec
from detector.classifiers.torch import TorchClassifier
from tests.support.bundles import calibration_images, digits_torch

if TYPE_CHECKING:
    from torch import Tensor

    from detector.embedded import EmbeddedDefault

SPEC = ImageSpec(height=6, width=6, channel_order=ChannelOrder.GRAY)
THOROUGH = CwOptions(confidence=0.5, steps=200, searches=6)


def _linear(seed: int) -> tuple[TorchClassifier, Tensor]:
    """Two classes parted by a hyperplane through the middle of the box, and that plane's weights."""
    weights = torch.randn((2, 36), generator=torch.Generator().manual_seed(seed))
    layer = nn.Linear(36, 2)
    with torch.no_grad():
        layer.weight.copy_(weights)
        layer.bias.copy_(-weights.sum(1) / 2)
    return TorchClassifier(nn.Sequential(nn.Flatten(), layer), SPEC), weights[1] - weights[0]


def _lead(classifier: TorchClassifier, images: Tensor, labels: Tensor) -> Tensor:
    logits = classifier.differentiable_logits(images).detach()
    own = logits[torch.arange(len(logits)), labels]
    others = logits.clone()
    others[torch.arange(len(logits)), labels] = -torch.inf
    return others.amax(1) - own


def _distances(moved: Tensor, images: Tensor) -> Tensor:
    return (moved - images).flatten(1).norm(dim=1)


@pytest.mark.parametrize("seed", range(3))
def test_on_a_linear_classifier_the_closest_point_is_the_projection(seed: int) -> None:
    classifier, normal = _linear(seed)
    generator = torch.Generator().manual_seed(seed)
    images = 0.5 + 0.1 * torch.randn((20, 1, 6, 6), generator=generator)
    labels = classifier.differentiable_logits(images).argmax(1)
    moved = carlini_wagner(classifier, images, labels, THOROUGH)
    projected = (THOROUGH.confidence - _lead(classifier, images, labels)) / normal.norm()
    found = _distances(moved, images)
    assert (found >= projected * 0.999).all()
    assert (found <= projected * 1.2).all()


def test_successes_have_the_wanted_lead_and_failures_are_the_images_themselves(digits: EmbeddedDefault) -> None:
    classifier = digits_torch(digits)
    arrays, truth = calibration_images(digits)
    images, labels = torch.from_numpy(arrays[:40]), torch.from_numpy(truth[:40])
    moved = carlini_wagner(classifier, images, labels, CwOptions(confidence=0.5, steps=30))
    changed = _distances(moved, images) > 0
    assert 0 < changed.sum() < 40
    assert (_lead(classifier, moved[changed], labels[changed]) >= 0.5 - 1e-4).all()
    torch.testing.assert_close(moved[~changed], images[~changed], rtol=0, atol=0)


@pytest.mark.parametrize("confidence", [0.0, 2.0, 5.0])
def test_more_confidence_costs_more(confidence: float) -> None:
    classifier, _ = _linear(0)
    images = torch.full((1, 1, 6, 6), 0.5) + 0.05 * torch.eye(6)
    labels = classifier.differentiable_logits(images).argmax(1)
    near, far = (
        carlini_wagner(classifier, images, labels, CwOptions(confidence=wanted, steps=200, searches=6))
        for wanted in (confidence, confidence + 1)
    )
    assert _distances(near, images) < _distances(far, images)


def test_it_moves_images_less_far_than_projected_gradient_descent(digits: EmbeddedDefault) -> None:
    classifier = digits_torch(digits)
    images, labels = calibration_images(digits)
    images, labels = images[:24], labels[:24]
    smallest = run_attack(cw(0.0, steps=200), classifier, images, labels, seed=0)
    bounded = run_attack(pgd_l2(1.5), classifier, images, labels, seed=0)
    both = (classifier.logits(smallest).argmax(1) != labels) & (classifier.logits(bounded).argmax(1) != labels)
    distances = [
        np.linalg.norm((moved - images)[both].reshape(both.sum(), -1), axis=1) for moved in (smallest, bounded)
    ]
    assert both.sum() > 10
    assert distances[0].mean() < 0.8 * distances[1].mean()


def test_every_image_is_attacked_by_itself(digits: EmbeddedDefault) -> None:
    classifier = digits_torch(digits)
    arrays, truth = calibration_images(digits)
    images, labels = torch.from_numpy(arrays[:6]), torch.from_numpy(truth[:6])
    options = CwOptions(confidence=0.5, steps=60)
    together = carlini_wagner(classifier, images, labels, options)
    alone = torch.cat([carlini_wagner(classifier, images[i : i + 1], labels[i : i + 1], options) for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-3)
