from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.datasets import load_digits

from detector.classifiers.gradients import match_gradients
from detector.classifiers.loading import load_classifier
from detector.data.opening import open_images
from detector.data.source import read_all
from detector.embedded import EPOCHS, LABELS, SPEC, build_embedded_default
from detector.images import to_canonical
from tests.support.bundles import calibration_images, digits_onnx, digits_torch

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault


def test_the_classifier_is_good_and_its_accuracy_is_the_one_reported(digits: EmbeddedDefault) -> None:
    images = to_canonical(digits.test.pixels, SPEC.shape)
    predicted = digits_onnx(digits).logits(images).argmax(axis=1)
    assert digits.accuracy >= 0.96
    assert digits.accuracy == pytest.approx((predicted == digits.test.labels).mean())


def test_calibration_images_are_not_remembered(digits: EmbeddedDefault) -> None:
    images, labels = calibration_images(digits)
    accuracy = (digits_onnx(digits).logits(images).argmax(axis=1) == labels).mean()
    assert 0.96 <= accuracy < 1


def test_the_files_are_what_a_user_would_point_at(digits: EmbeddedDefault) -> None:
    loaded = load_classifier(digits.classifier_file)
    assert loaded.notes == ()
    assert loaded.classifier.spec == SPEC
    images = read_all(open_images(digits.images_file), SPEC.shape)
    assert images.class_names == LABELS
    assert images.labels is not None
    assert len(images) == 900
    assert np.bincount(images.labels).min() >= 85
    gradients = match_gradients(loaded.classifier, digits.gradients_file, to_canonical(images.pixels[:32], SPEC.shape))
    assert gradients.spec == SPEC


def test_the_program_and_the_graph_are_one_network(digits: EmbeddedDefault) -> None:
    images = to_canonical(digits.test.pixels, SPEC.shape)
    np.testing.assert_allclose(digits_torch(digits).logits(images), digits_onnx(digits).logits(images), atol=1e-4)


def test_every_image_is_used_once(digits: EmbeddedDefault) -> None:
    calibration, _ = calibration_images(digits)
    held_out = np.concatenate([np.rint(calibration.reshape(900, -1) * 255), digits.test.pixels.reshape(297, -1)])
    everything = np.rint(load_digits().data * (255 / 16))
    assert len(digits.test) == 297
    rows, counts = np.unique(everything, axis=0, return_counts=True)
    assert (counts == 1).all()
    assert len(np.unique(held_out, axis=0)) == 1197
    assert {row.tobytes() for row in held_out.astype(np.uint8)} <= {row.tobytes() for row in rows.astype(np.uint8)}


def test_the_seed_decides_everything(digits: EmbeddedDefault, tmp_path: Path) -> None:
    epochs: list[int] = []
    again = build_embedded_default(tmp_path / "again", on_progress=epochs.append)
    other = build_embedded_default(tmp_path / "other", seed=1)
    assert sum(epochs) == EPOCHS
    assert again.classifier_file.read_bytes() == digits.classifier_file.read_bytes()
    assert again.images_file.read_bytes() == digits.images_file.read_bytes()
    assert other.classifier_file.read_bytes() != digits.classifier_file.read_bytes()
    assert other.test.digest != digits.test.digest
