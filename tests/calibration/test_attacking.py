from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.attacks.library import run_attack
from detector.attacks.threat_models import cw, fgsm, pgd, pgd_l2
from detector.calibration.attacking import attack_successfully, strong_enough
from tests.support.bundles import calibration_images, digits_onnx, digits_torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.attacks.threat_models import ThreatModel
    from detector.classifiers.base import Float32Array
    from detector.classifiers.onnx import OnnxClassifier
    from detector.classifiers.torch import TorchClassifier
    from detector.embedded import EmbeddedDefault


@pytest.fixture(scope="module")
def deployed(digits: EmbeddedDefault) -> OnnxClassifier:
    return digits_onnx(digits)


@pytest.fixture(scope="module")
def gradients(digits: EmbeddedDefault) -> TorchClassifier:
    return digits_torch(digits)


@pytest.fixture(scope="module")
def sources(digits: EmbeddedDefault, deployed: OnnxClassifier) -> tuple[Float32Array, NDArray[np.int64]]:
    images, labels = calibration_images(digits)
    right = np.flatnonzero(deployed.logits(images).argmax(axis=1) == labels)[:40]
    return images[right], labels[right]


def _share_moved(
    model: ThreatModel,
    deployed: OnnxClassifier,
    gradients: TorchClassifier,
    sources: tuple[Float32Array, NDArray[np.int64]],
) -> float:
    """Of the first 32 images, which are those that decide."""
    images, labels = sources[0][:32], sources[1][:32]
    attacked = run_attack(model, gradients, images, labels, seed=0)
    return float((deployed.logits(attacked).argmax(axis=1) != labels).mean())


@pytest.mark.parametrize("model", [fgsm(24), pgd(16), pgd_l2(0.8), cw(0.5)], ids=lambda model: model.name)
def test_only_successes_are_kept_and_all_of_them(
    model: ThreatModel,
    deployed: OnnxClassifier,
    gradients: TorchClassifier,
    sources: tuple[Float32Array, NDArray[np.int64]],
) -> None:
    images, labels = sources
    moved = attack_successfully(model, deployed, gradients, images, labels, seed=0)
    assert 0 < len(moved.rows) < len(images)
    assert (deployed.logits(moved.images).argmax(axis=1) != labels[moved.rows]).all()
    everything = run_attack(model, gradients, images, labels, seed=0)
    np.testing.assert_array_equal(moved.images, everything[moved.rows])
    rest = np.setdiff1d(np.arange(len(images)), moved.rows)
    assert (deployed.logits(everything[rest]).argmax(axis=1) == labels[rest]).all()


def test_an_attack_that_never_succeeds_gives_no_image(
    deployed: OnnxClassifier, gradients: TorchClassifier, sources: tuple[Float32Array, NDArray[np.int64]]
) -> None:
    images, labels = sources
    moved = attack_successfully(pgd(0.01), deployed, gradients, images, labels, seed=0)
    assert moved.images.shape == (0, 1, 8, 8)
    assert moved.rows.shape == (0,)


@pytest.mark.parametrize("given", [fgsm(4), pgd(2), pgd_l2(0.1)], ids=lambda model: model.name)
def test_the_budget_is_doubled_until_half_of_the_images_are_moved(
    given: ThreatModel,
    deployed: OnnxClassifier,
    gradients: TorchClassifier,
    sources: tuple[Float32Array, NDArray[np.int64]],
) -> None:
    model = strong_enough(given, deployed, gradients, *sources, seed=0)
    doublings = np.log2(model.budget / given.budget)
    assert doublings == round(doublings) >= 1
    assert _share_moved(model, deployed, gradients, sources) >= 0.5
    weaker = given
    while weaker != model:
        assert _share_moved(weaker, deployed, gradients, sources) < 0.5
        weaker = weaker.strengthened()


def test_a_strong_attack_is_left_alone(
    deployed: OnnxClassifier, gradients: TorchClassifier, sources: tuple[Float32Array, NDArray[np.int64]]
) -> None:
    assert strong_enough(pgd(64), deployed, gradients, *sources, seed=0) == pgd(64)


def test_an_attack_that_looks_for_its_own_distance_is_left_alone(
    deployed: OnnxClassifier, gradients: TorchClassifier, sources: tuple[Float32Array, NDArray[np.int64]]
) -> None:
    assert strong_enough(cw(0.5, steps=1), deployed, gradients, *sources, seed=0) == cw(0.5, steps=1)


def test_doubling_ends(
    deployed: OnnxClassifier, gradients: TorchClassifier, sources: tuple[Float32Array, NDArray[np.int64]]
) -> None:
    hopeless = pgd(0.001, steps=2)
    assert strong_enough(hopeless, deployed, gradients, *sources, seed=0).budget == 32 * hopeless.budget
