from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.calibration.inputs import load_inputs
from detector.calibration.spreading import model_recipe
from detector.classifiers.options import SpecOptions
from detector.images import to_canonical
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from detector.embedded import EmbeddedDefault


@pytest.mark.parametrize("given", ["a file", "the graph", "a program"])
def test_models_opened_by_their_recipe_answer_bit_for_bit_alike(digits: EmbeddedDefault, given: str) -> None:
    inputs = load_inputs(
        digits.gradients_file if given == "a program" else digits.classifier_file,
        digits.images_file,
        spec=SpecOptions(),
        gradients=digits.gradients_file if given == "a file" else None,
        progress=Recorder(),
        threads=1,
    )
    models = model_recipe(inputs, threads=1).open()
    images = to_canonical(inputs.images.pixels[:50], inputs.loaded.classifier.spec.shape)
    assert inputs.gradients is not None
    assert models.gradients is not None
    for mine, theirs in ((inputs.loaded.classifier, models.classifier), (inputs.gradients, models.gradients)):
        np.testing.assert_array_equal(theirs.logits(images), mine.logits(images))
    assert models.gradients.spec == inputs.gradients.spec
