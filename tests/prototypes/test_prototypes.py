from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from detector.embedded import LABELS, SPEC
from detector.paths.straight import Prototypes
from detector.prototypes.medoids import medoids
from detector.prototypes.options import PrototypeStart, SynthesisOptions
from detector.prototypes.quality import prototype_losses, roughness
from detector.prototypes.synthesis import PrototypeBatches, optimised
from tests.support.bundles import calibration_images, digits_onnx, digits_torch
from tests.support.synthesis import synthesise

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.embedded import EmbeddedDefault

OPTIONS = SynthesisOptions(per_class=3, target_loss=1e-3, steps=400)
CLASSES = np.arange(10)


@pytest.fixture(scope="module")
def classifier(digits: EmbeddedDefault) -> TorchClassifier:
    return digits_torch(digits)


@pytest.fixture(scope="module")
def made(classifier: TorchClassifier) -> Prototypes:
    return synthesise(classifier, OPTIONS)


def _flat(prototypes: Prototypes) -> Float32Array:
    return prototypes.images.reshape(-1, *SPEC.shape)


def _losses(classifier: TorchClassifier, prototypes: Prototypes) -> Float32Array:
    logits = torch.from_numpy(classifier.logits(_flat(prototypes)))
    wanted = torch.from_numpy(CLASSES.repeat(prototypes.per_class))
    return cross_entropy(logits, wanted, reduction="none").numpy().reshape(10, -1)


VARIANTS = {
    "plain": OPTIONS,
    "small batches": replace(OPTIONS, batch=7),
    "smooth": replace(OPTIONS, smoothness=1.0, target_loss=1e-2),
    "jitter": replace(OPTIONS, jitter=1, target_loss=1e-2),
    "class mean": replace(OPTIONS, start=PrototypeStart.CLASS_MEAN),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_prototypes_are_valid_images_their_classifier_is_sure_of(
    classifier: TorchClassifier, digits: EmbeddedDefault, variant: str
) -> None:
    options = VARIANTS[variant]
    images, labels = calibration_images(digits)
    means = np.stack([images[labels == c].mean(0) for c in CLASSES])
    found = synthesise(classifier, options, class_means=means)
    assert found.images.shape == (10, 3, *SPEC.shape)
    assert found.images.dtype == found.losses.dtype == np.float32
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert found.losses.max() < options.target_loss
    np.testing.assert_allclose(found.losses, _losses(classifier, found), atol=1e-5)


def test_the_seed_decides_them(classifier: TorchClassifier, made: Prototypes) -> None:
    again = synthesise(classifier, OPTIONS)
    np.testing.assert_array_equal(again.images, made.images)
    other = synthesise(classifier, replace(OPTIONS, seed=1))
    assert (np.abs(other.images - made.images).max(axis=(2, 3, 4)) > 1e-3).all()


def test_prototypes_of_one_class_differ(made: Prototypes) -> None:
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (np.abs(made.images[:, one] - made.images[:, other]).max(axis=(1, 2, 3)) > 1e-3).all()


def test_smoothness_makes_them_smoother(classifier: TorchClassifier, made: Prototypes) -> None:
    rough = roughness(made.images).mean()
    middle, smooth = (
        roughness(synthesise(classifier, replace(OPTIONS, smoothness=weight, target_loss=1e-6)).images).mean()
        for weight in (1.0, 20.0)
    )
    assert smooth < middle
    assert smooth < rough


def test_jitter_makes_them_hold_when_shifted(classifier: TorchClassifier, made: Prototypes) -> None:
    def shifted_loss(prototypes: Prototypes) -> float:
        shifts = [(0, 1), (1, 0), (0, -1), (-1, 0)]
        moved = [replace(prototypes, images=np.roll(prototypes.images, shift, (3, 4))) for shift in shifts]
        return float(np.mean([_losses(classifier, one) for one in moved]))

    jittered = synthesise(classifier, replace(OPTIONS, jitter=1, target_loss=1e-6, steps=100))
    assert shifted_loss(jittered) < shifted_loss(made)


def test_a_class_mean_start_stays_nearer_to_the_mean(classifier: TorchClassifier, digits: EmbeddedDefault) -> None:
    images, labels = calibration_images(digits)
    means = np.stack([images[labels == c].mean(0) for c in CLASSES])
    distances = [
        np.abs(synthesise(classifier, replace(OPTIONS, start=start), class_means=means).images - means[:, None]).mean()
        for start in (PrototypeStart.CLASS_MEAN, PrototypeStart.NOISE)
    ]
    assert distances[0] < distances[1] / 2


@pytest.mark.parametrize("target", [1e-3, 1e-30])
@pytest.mark.parametrize("batch", [7, 64])
def test_progress_adds_up_whether_or_not_the_target_is_met_early(
    classifier: TorchClassifier, target: float, batch: int
) -> None:
    options = replace(OPTIONS, steps=60, target_loss=target, batch=batch)
    told: list[int] = []
    synthesise(classifier, options, on_progress=told.append)
    assert sum(told) == 60 * (5 if batch == 7 else 1)


def test_roughness_is_known_for_known_images() -> None:
    flat = np.full((2, 1, 4, 4), 0.3, np.float32)
    board = np.indices((4, 4)).sum(0).astype(np.float32)[None, None] % 2
    stripes = np.tile(np.array([0, 1, 0, 1], np.float32), (1, 1, 4, 1))
    assert roughness(flat).tolist() == [0, 0]
    assert roughness(board).tolist() == [1]
    assert roughness(stripes).tolist() == [0.5]


def test_medoids_are_the_images_nearest_to_their_classs_mean_answer(digits: EmbeddedDefault) -> None:
    classifier = digits_onnx(digits)
    images, _ = calibration_images(digits)
    logits = classifier.logits(images)
    predicted = logits.argmax(axis=1)
    found = medoids(logits, predicted, 2, LABELS)
    assert found.shape == (10, 2)
    for label in range(len(LABELS)):
        members = np.flatnonzero(predicted == label)
        distances = np.linalg.norm(logits[members] - logits[members].mean(0), axis=1)
        assert found[label].tolist() == members[np.argsort(distances)[:2]].tolist()


def test_losses_are_those_of_the_classifier_asked(digits: EmbeddedDefault) -> None:
    images, _ = calibration_images(digits)
    found = Prototypes(images[:20].reshape(10, 2, *SPEC.shape), np.zeros((10, 2), np.float32))
    given = prototype_losses(digits_onnx(digits), found.images)
    np.testing.assert_allclose(given, _losses(digits_torch(digits), found), atol=1e-3, rtol=1e-4)


def test_a_batch_gives_the_same_alone_as_after_others(classifier: TorchClassifier) -> None:
    options = replace(OPTIONS, jitter=1, steps=10, batch=7)
    together = _flat(synthesise(classifier, options))
    batches = PrototypeBatches(classifier.spec, 10, options)
    assert len(batches) == 5
    for number in (1, 4):  # of those between, only the start is drawn
        images, _ = optimised(classifier, batches.batch(number), options)
        np.testing.assert_array_equal(images, together[7 * number : 7 * (number + 1)])
