from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.nn import functional

from detector.attacks.target import AttackTarget
from detector.attacks.unconstrained import towards, typical_losses
from tests.support.tiny import TINY_SPEC, tiny_torch

if TYPE_CHECKING:
    from torch import Tensor


def _losses(target: AttackTarget, images: Tensor, goals: Tensor) -> Tensor:
    return functional.cross_entropy(target.gradients.differentiable_logits(images), goals, reduction="none").detach()


def _start(target: AttackTarget) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(target.images[:10]), torch.from_numpy((target.labels[:10] + 3) % 10)


def test_it_stops_each_image_just_below_its_threshold(target: AttackTarget) -> None:
    images, goals = _start(target)
    thresholds = torch.linspace(0.05, 1.0, 10)
    moved = towards(target.gradients, images, goals, thresholds, steps=300, least_steps=0)
    losses = _losses(target, moved, goals)
    assert (losses < thresholds).all()
    assert (losses > 0.5 * thresholds).all()


def test_no_image_stops_before_the_least_steps(target: AttackTarget) -> None:
    images, goals = _start(target)
    easy = torch.full((10,), 1e3)
    assert torch.equal(towards(target.gradients, images, goals, easy, steps=50, least_steps=0), images)
    early = towards(target.gradients, images, goals, easy, steps=50, least_steps=20)
    ended = towards(target.gradients, images, goals, torch.zeros(10), steps=20)
    assert torch.equal(early, ended)
    assert not torch.equal(early, images)


def test_it_stays_in_the_box_and_every_image_is_moved_by_itself(target: AttackTarget) -> None:
    images, goals = _start(target)
    thresholds = torch.full((10,), 0.01)
    together = towards(target.gradients, images, goals, thresholds, steps=60)
    alone = torch.cat(
        [towards(target.gradients, images[i : i + 1], goals[i : i + 1], thresholds[:1], steps=60) for i in range(10)]
    )
    assert together.min() >= 0
    assert together.max() <= 1
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-3)


def test_the_typical_loss_of_a_class_is_its_median_and_that_of_all_where_it_has_few() -> None:
    classifier = tiny_torch()
    images = np.random.default_rng(0).random((30, *TINY_SPEC.shape), dtype=np.float32)
    labels = np.array([0] * 10 + [1] * 17 + [2] * 3)
    logits = torch.from_numpy(classifier.logits(images))
    losses = functional.cross_entropy(logits, torch.from_numpy(labels), reduction="none").numpy()
    typical = typical_losses(AttackTarget(classifier, images, labels))
    assert typical[0] == pytest.approx(np.median(losses[:10]), rel=1e-5)
    assert typical[1] == pytest.approx(np.median(losses[10:27]), rel=1e-5)
    assert typical[2:] == pytest.approx(np.median(losses), rel=1e-5)
