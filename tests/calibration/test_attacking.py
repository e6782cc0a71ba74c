from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.attacks.running import run_attack
from detector.attacks.target import AttackTarget
from detector.attacks.threat_models import cw, fgsm, pgd, pgd_l2
from detector.calibration.attacking import attack_successfully, strong_enough
from tests.support.bundles import calibration_images, digits_onnx, digits_torch

if TYPE_CHECKING:
    from detector.attacks.threat_models import ThreatModel
    from detector.classifiers.onnx import OnnxClassifier
    from detector.embedded import EmbeddedDefault


@pytest.fixture(scope="module")
def deployed(digits: EmbeddedDefault) -> OnnxClassifier:
    return digits_onnx(digits)


@pytest.fixture(scope="module")
def target(digits: EmbeddedDefault, deployed: OnnxClassifier) -> AttackTarget:
    images, labels = calibration_images(digits)
    right = np.flatnonzero(deployed.logits(images).argmax(axis=1) == labels)[:40]
    return AttackTarget(digits_torch(digits), images[right], labels[right])


def _share_moved(model: ThreatModel, deployed: OnnxClassifier, target: AttackTarget) -> float:
    """Of the first 32 images, which are those that decide."""
    probes = replace(target, images=target.images[:32], labels=target.labels[:32])
    attacked = run_attack(model, probes, seed=0)
    return float((deployed.logits(attacked).argmax(axis=1) != probes.labels).mean())


@pytest.mark.parametrize("model", [fgsm(24), pgd(16), pgd_l2(0.8), cw(0.5)], ids=lambda model: model.name)
def test_only_successes_are_kept_and_all_of_them(
    model: ThreatModel, deployed: OnnxClassifier, target: AttackTarget
) -> None:
    moved = attack_successfully(model, deployed, target, seed=0)
    assert 0 < len(moved.rows) < len(target.images)
    assert (deployed.logits(moved.images).argmax(axis=1) != target.labels[moved.rows]).all()
    everything = run_attack(model, target, seed=0)
    np.testing.assert_array_equal(moved.images, everything[moved.rows])
    rest = np.setdiff1d(np.arange(len(target.images)), moved.rows)
    assert (deployed.logits(everything[rest]).argmax(axis=1) == target.labels[rest]).all()


def test_an_attack_that_never_succeeds_gives_no_image(deployed: OnnxClassifier, target: AttackTarget) -> None:
    moved = attack_successfully(pgd(0.01), deployed, target, seed=0)
    assert moved.images.shape == (0, 1, 8, 8)
    assert moved.rows.shape == (0,)


@pytest.mark.parametrize("given", [fgsm(4), pgd(2), pgd_l2(0.1)], ids=lambda model: model.name)
def test_the_budget_is_doubled_until_half_of_the_images_are_moved(
    given: ThreatModel,
    deployed: OnnxClassifier,
    target: AttackTarget,
) -> None:
    model = strong_enough(given, deployed, target, seed=0)
    assert given.budget is not None
    assert model.budget is not None
    doublings = np.log2(model.budget / given.budget)
    assert doublings == round(doublings) >= 1
    assert _share_moved(model, deployed, target) >= 0.5
    weaker = given
    while weaker != model:
        assert _share_moved(weaker, deployed, target) < 0.5
        weaker = weaker.strengthened()


def test_a_strong_attack_is_left_alone(deployed: OnnxClassifier, target: AttackTarget) -> None:
    assert strong_enough(pgd(64), deployed, target, seed=0) == pgd(64)


def test_an_attack_that_looks_for_its_own_distance_is_left_alone(
    deployed: OnnxClassifier, target: AttackTarget
) -> None:
    assert strong_enough(cw(0.5, steps=1), deployed, target, seed=0) == cw(0.5, steps=1)


def test_doubling_ends(deployed: OnnxClassifier, target: AttackTarget) -> None:
    hopeless = pgd(0.001, steps=2)
    doubled = hopeless
    for _ in range(5):
        doubled = doubled.strengthened()
    assert strong_enough(hopeless, deployed, target, seed=0) == doubled
