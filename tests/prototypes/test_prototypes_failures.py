from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.errors import CalibrationError
from detector.prototypes.medoids import medoids
from detector.prototypes.options import PrototypeStart, SynthesisOptions
from detector.prototypes.synthesis import synthesise
from tests.support.bundles import digits_torch
from tests.support.formulas import one_pixel, two_classes

if TYPE_CHECKING:
    from detector.embedded import EmbeddedDefault


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("per_class", 0),
        ("steps", 0),
        ("batch", -1),
        ("smoothness", -0.1),
        ("jitter", -1),
        ("learning_rate", 0.0),
        ("target_loss", -1.0),
    ],
)
def test_options_out_of_range_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(CalibrationError, match=field):
        SynthesisOptions(**{field: value})


def test_a_class_mean_start_needs_class_means(digits: EmbeddedDefault) -> None:
    with pytest.raises(CalibrationError, match="'class-mean' needs labelled images"):
        synthesise(digits_torch(digits), SynthesisOptions(start=PrototypeStart.CLASS_MEAN))


def test_medoids_need_images_of_every_class() -> None:
    classifier = two_classes(lambda pixel: 10 * pixel - 5)
    images = one_pixel(0.1, 0.2, 0.9)
    predicted = classifier.logits(images).argmax(axis=1)
    with pytest.raises(CalibrationError, match=r"class 'class_1': only 1 images.* 2 are needed.* --gradients"):
        medoids(classifier, images, predicted, 2)
    assert medoids(classifier, images, predicted, 1).images.shape == (2, 1, 1, 1, 1)
    with pytest.raises(CalibrationError, match="class 'class_1': only 0 images"):
        medoids(classifier, images, np.zeros(3, np.int64), 1)
