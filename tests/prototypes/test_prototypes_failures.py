from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.errors import CalibrationError
from detector.prototypes.medoids import medoids
from detector.prototypes.options import PrototypeStart, SynthesisOptions
from tests.support.bundles import digits_torch
from tests.support.synthesis import synthesise

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
    logits = np.array([[2, -2], [1, -1], [-3, 3]], np.float32)
    predicted = logits.argmax(axis=1)
    with pytest.raises(CalibrationError, match=r"class 'dog': only 1 images.* 2 are needed.* --gradients"):
        medoids(logits, predicted, 2, ("cat", "dog"))
    assert medoids(logits, predicted, 1, ("cat", "dog")).shape == (2, 1)
    with pytest.raises(CalibrationError, match="class 'dog': only 0 images"):
        medoids(logits, np.zeros(3, np.int64), 1, ("cat", "dog"))
