from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.calibration.tuning.blending import Blend, blend_job, blended
from detector.images import to_canonical
from detector.shards.base import LocalRunner, Models
from detector.shards.jobs import run_jobs
from tests.support.bundles import digits_onnx
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array
    from detector.classifiers.onnx import OnnxClassifier
    from detector.embedded import EmbeddedDefault
    from detector.shards.stages import Arrays

COUNT = 150  # more than a shard


@pytest.fixture(scope="module")
def classifier(digits: EmbeddedDefault) -> OnnxClassifier:
    return digits_onnx(digits)


@pytest.fixture(scope="module")
def images(digits: EmbeddedDefault) -> Float32Array:
    return to_canonical(digits.test.pixels[:COUNT], (1, 8, 8))


def _blends(kind: Blend, classifier: OnnxClassifier, images: Float32Array, seed: int = 0) -> Arrays:
    labels = classifier.logits(images).argmax(axis=1)
    job = blend_job(kind, images, labels, seed=seed)
    ((_, arrays),) = run_jobs([job], LocalRunner(Models(classifier, None)), Recorder())
    return arrays


@pytest.mark.parametrize("kind", Blend)
def test_what_comes_out_is_taken_for_another_class_and_is_what_a_service_sees(
    kind: Blend, classifier: OnnxClassifier, images: Float32Array
) -> None:
    found = _blends(kind, classifier, images)
    labels = classifier.logits(images).argmax(axis=1)
    assert len(found["rows"]) > COUNT / 2
    assert (classifier.logits(found["images"]).argmax(axis=1) != labels[found["rows"]]).all()
    levels = found["images"] * 255
    assert np.abs(levels - levels.round()).max() < 1e-4


@pytest.mark.parametrize("kind", Blend)
def test_a_seed_decides(kind: Blend, classifier: OnnxClassifier, images: Float32Array) -> None:
    first, again, other = (_blends(kind, classifier, images, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first["images"], again["images"])
    assert first["images"].shape != other["images"].shape or (first["images"] != other["images"]).any()


def test_no_more_is_blended_in_than_turns_the_answer(classifier: OnnxClassifier, images: Float32Array) -> None:
    labels = classifier.logits(images).argmax(axis=1)
    partner = np.array([np.flatnonzero(labels != label)[0] for label in labels])
    moved, rows = blended(classifier, images, images[partner], labels)
    way, whole = images[partner[rows]] - images[rows], moved - images[rows]
    share = (way * whole).sum((1, 2, 3)) / np.square(way).sum((1, 2, 3))
    less = images[rows] + (share - 0.02)[:, None, None, None] * way
    still = classifier.logits(less.clip(0, 1).astype(np.float32)).argmax(axis=1) == labels[rows]
    assert len(rows) > COUNT / 2
    assert still.mean() > 0.9  # rounding to levels moves the border of a few


def test_images_of_one_class_have_nothing_to_be_blended_with(classifier: OnnxClassifier, images: Float32Array) -> None:
    labels = classifier.logits(images).argmax(axis=1)
    assert len(_blends(Blend.IMAGE, classifier, images[labels == labels[0]])["rows"]) == 0
