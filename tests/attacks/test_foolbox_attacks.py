from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from detector.attacks.foolbox_attacks import foolbox_attack
from detector.attacks.threat_models import (
    THREAT_MODELS,
    Kin,
    ThreatModel,
    cw,
    deep_fool,
    ead,
    fmn,
    hop_skip_jump,
    salt_and_pepper,
    spatial,
)
from detector.classifiers.base import ChannelOrder, ImageSpec
from detector.classifiers.torch import TorchClassifier

if TYPE_CHECKING:
    from detector.attacks.target import AttackTarget, Int64Array
    from detector.classifiers.base import Float32Array

SPEC = ImageSpec(height=6, width=6, channel_order=ChannelOrder.GRAY)
EVERYTHING = [
    *(cw(0.5), deep_fool(), ead(0.5, steps=20), fmn(), hop_skip_jump(steps=3)),
    *(salt_and_pepper(steps=50), spatial()),
]


def _linear(seed: int) -> tuple[TorchClassifier, Float32Array]:
    """Two classes parted by a hyperplane through the middle of the box, and that plane's weights."""
    weights = torch.randn((2, 36), generator=torch.Generator().manual_seed(seed))
    layer = nn.Linear(36, 2)
    with torch.no_grad():
        layer.weight.copy_(weights)
        layer.bias.copy_(-weights.sum(1) / 2)
    return TorchClassifier(nn.Sequential(nn.Flatten(), layer), SPEC), (weights[1] - weights[0]).numpy()


def _images(classifier: TorchClassifier, seed: int) -> tuple[Float32Array, Int64Array]:
    images = 0.5 + 0.1 * np.random.default_rng(seed).standard_normal((20, 1, 6, 6)).astype(np.float32)
    images = np.rint(images.clip(0, 1) * 255).astype(np.float32) / np.float32(255)
    return images, classifier.logits(images).argmax(axis=1)


def _lead(classifier: TorchClassifier, images: Float32Array, labels: Int64Array) -> Float32Array:
    """By how much the other class leads the labelled one."""
    logits = classifier.logits(images)
    rows = np.arange(len(images))
    return logits[rows, 1 - labels] - logits[rows, labels]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("model", "order", "dual", "slack"),
    [
        (cw(0.5, steps=200), 2, 2, 1.25),
        (deep_fool(), 2, 2, 1.3),
        (fmn(), np.inf, 1, 1.5),
        (ead(0.0, steps=200), 1, np.inf, 2.5),
        (hop_skip_jump(steps=10), 2, 2, 1.8),
    ],
    ids=lambda value: value.name if isinstance(value, ThreatModel) else str(value),
)
def test_on_a_linear_classifier_the_nearest_wrong_image_is_nearly_the_projection(
    model: ThreatModel, order: float, dual: float, slack: float, seed: int
) -> None:
    classifier, normal = _linear(seed)
    images, labels = _images(classifier, seed)
    torch.manual_seed(seed)
    moved = foolbox_attack(model, classifier)(images, labels)
    distances = np.linalg.norm((moved - images).reshape(20, -1), ord=order, axis=1)
    lead, steepness = _lead(classifier, images, labels), np.linalg.norm(normal, ord=dual)
    boundary, wanted = -lead / steepness, (model.confidence - lead) / steepness
    wrong = _lead(classifier, moved, labels) > 0
    assert wrong.mean() >= 0.9
    assert (distances >= 0.999 * boundary)[wrong].all()
    assert np.median(distances / wanted) <= slack


@pytest.mark.parametrize("model", EVERYTHING, ids=lambda model: model.name)
def test_what_has_moved_is_rounded_and_wrong_and_what_has_not_is_the_image(
    model: ThreatModel, target: AttackTarget
) -> None:
    torch.manual_seed(0)
    moved = foolbox_attack(model, target.gradients)(target.images, target.labels)
    changed = (moved != target.images).any(axis=(1, 2, 3))
    np.testing.assert_allclose(moved * 255, np.rint(moved * 255), rtol=0, atol=1e-4)
    found = target.gradients.logits(moved).argmax(axis=1)
    assert changed.any()
    np.testing.assert_array_equal(found != target.labels, changed)


@pytest.mark.parametrize("model", EVERYTHING, ids=lambda model: model.name)
def test_images_that_are_wrong_already_come_back_as_they_were(model: ThreatModel, target: AttackTarget) -> None:
    wrong = target.labels.copy()
    wrong[::2] = (wrong[::2] + 1) % 10
    moved = foolbox_attack(model, target.gradients)(target.images[:8], wrong[:8])
    np.testing.assert_array_equal(moved[::2], target.images[:8:2])
    assert (moved[1::2] != target.images[1:8:2]).any()


@pytest.mark.parametrize("model", [cw(0.5), ead(0.5), deep_fool(), fmn()], ids=lambda model: model.name)
def test_every_image_is_attacked_by_itself(model: ThreatModel, target: AttackTarget) -> None:
    model = replace(model, steps=10)
    attack = foolbox_attack(model, target.gradients)
    images, labels = target.images[:4], target.labels[:4]
    alone = np.concatenate([attack(images[i : i + 1], labels[i : i + 1]) for i in range(4)])
    np.testing.assert_allclose(attack(images, labels), alone, rtol=0, atol=2e-3)


@pytest.mark.parametrize("confidence", [0.0, 2.0])
def test_more_confidence_costs_more(confidence: float) -> None:
    classifier, _ = _linear(0)
    images, labels = _images(classifier, 0)
    near, far = (
        np.linalg.norm((foolbox_attack(cw(k, steps=100), classifier)(images, labels) - images).reshape(20, -1), axis=1)
        for k in (confidence, confidence + 2)
    )
    assert (near < far).all()


def test_the_minimum_norm_attacks_are_all_here() -> None:
    kin = {model.family for model in THREAT_MODELS if model.kin is Kin.MINIMUM_NORM}
    assert kin <= {model.family for model in EVERYTHING}
