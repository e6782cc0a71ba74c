from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.attacks.library import library_available, run_attack
from detector.attacks.threat_models import Family, Norm, ThreatModel, cw, fgsm, pgd, pgd_l2
from tests.support.bundles import calibration_images, digits_torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.embedded import EmbeddedDefault

ATTACKS = [fgsm(24), pgd(24), pgd_l2(1.0), cw(0.5, steps=200)]
NAMED = pytest.mark.parametrize("model", ATTACKS, ids=lambda model: model.name)
HALF_A_LEVEL = 0.5 / 255 + 1e-6


@pytest.fixture(scope="module")
def classifier(digits: EmbeddedDefault) -> TorchClassifier:
    return digits_torch(digits)


@pytest.fixture(scope="module")
def sources(digits: EmbeddedDefault, classifier: TorchClassifier) -> tuple[Float32Array, NDArray[np.int64]]:
    """Images the classifier gets right, and their labels."""
    images, labels = calibration_images(digits)
    right = np.flatnonzero(classifier.logits(images).argmax(axis=1) == labels)[:24]
    return images[right], labels[right]


def test_the_library_is_here() -> None:
    assert library_available()


@NAMED
def test_an_attack_moves_images_out_of_their_class(
    model: ThreatModel, classifier: TorchClassifier, sources: tuple[Float32Array, NDArray[np.int64]]
) -> None:
    images, labels = sources
    attacked = run_attack(model, classifier, images, labels, seed=0)
    assert (classifier.logits(attacked).argmax(axis=1) != labels).mean() > 0.3


@NAMED
def test_attacked_images_have_whole_levels_inside_the_box(
    model: ThreatModel, classifier: TorchClassifier, sources: tuple[Float32Array, NDArray[np.int64]]
) -> None:
    images, labels = sources
    attacked = run_attack(model, classifier, images, labels, seed=0)
    assert attacked.dtype == np.float32
    assert attacked.shape == images.shape
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    np.testing.assert_array_equal(attacked, np.rint(attacked * 255).astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(
    "model", [fgsm(3.7), pgd(3.7), pgd(24), pgd_l2(0.3), pgd_l2(2.0)], ids=lambda model: model.name
)
def test_an_attack_stays_within_its_budget_but_for_rounding(
    model: ThreatModel, classifier: TorchClassifier, sources: tuple[Float32Array, NDArray[np.int64]]
) -> None:
    images, labels = sources
    moved = run_attack(model, classifier, images, labels, seed=0) - images
    if model.norm is Norm.LINF:
        largest, rounding = np.abs(moved).max(), HALF_A_LEVEL
    else:
        largest = np.linalg.norm(moved.reshape(len(moved), -1), axis=1).max()
        rounding = HALF_A_LEVEL * np.sqrt(moved[0].size)
    assert 0.5 * model.budget < largest <= model.budget + rounding


@NAMED
def test_the_same_seed_makes_the_same_images(
    model: ThreatModel, classifier: TorchClassifier, sources: tuple[Float32Array, NDArray[np.int64]]
) -> None:
    images, labels = sources
    first = run_attack(model, classifier, images, labels, seed=3)
    np.testing.assert_array_equal(first, run_attack(model, classifier, images, labels, seed=3))
    if model.family is Family.PGD:
        assert (first != run_attack(model, classifier, images, labels, seed=4)).any()


@NAMED
def test_the_global_generators_are_left_as_they_were(
    model: ThreatModel, classifier: TorchClassifier, sources: tuple[Float32Array, NDArray[np.int64]]
) -> None:
    images, labels = sources
    numbers, bits = np.random.get_state(legacy=False), torch.get_rng_state()  # noqa: NPY002 - this is what is tested
    run_attack(model, classifier, images, labels, seed=0)
    after = np.random.get_state(legacy=False)  # noqa: NPY002 - likewise
    np.testing.assert_equal(after, numbers)
    assert torch.equal(torch.get_rng_state(), bits)


def test_progress_adds_up(classifier: TorchClassifier, digits: EmbeddedDefault) -> None:
    images, labels = calibration_images(digits)
    told: list[int] = []
    run_attack(fgsm(8), classifier, images[:300], labels[:300], seed=0, on_progress=told.append)
    assert len(told) > 1
    assert sum(told) == 300


def test_the_images_given_are_not_changed(
    classifier: TorchClassifier, sources: tuple[Float32Array, NDArray[np.int64]]
) -> None:
    images, labels = sources
    before = images.copy()
    for model in ATTACKS:
        run_attack(model, classifier, images, labels, seed=0)
    np.testing.assert_array_equal(images, before)
