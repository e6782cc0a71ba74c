from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from detector.evaluation.material import Material
from tests.evaluation.conftest import SMALL
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.evaluation.conftest import Done


def test_fewer_images_are_drawn_at_random_and_the_same_every_time(evaluated: Done, tmp_path: Path) -> None:
    few = replace(SMALL, most_images=200)
    material, again = (Material(evaluated.inputs, few, tmp_path / name, Recorder()) for name in "ab")
    parts = (material.given.images.pixels, material._held_out.pixels)
    assert sum(map(len, parts)) == 200
    for one, other in zip(parts, (again.given.images.pixels, again._held_out.pixels), strict=True):
        np.testing.assert_array_equal(one, other)
    labels = material.given.images.labels
    assert labels is not None
    assert len(np.unique(labels)) == 10
    everything = {image.tobytes() for image in evaluated.inputs.images.pixels}
    assert {image.tobytes() for part in parts for image in part} <= everything


def test_a_limit_above_what_there_is_changes_nothing(evaluated: Done, tmp_path: Path) -> None:
    plain = Material(evaluated.inputs, SMALL, tmp_path / "a", Recorder())
    bound = Material(evaluated.inputs, replace(SMALL, most_images=10**6), tmp_path / "b", Recorder())
    np.testing.assert_array_equal(plain.given.images.pixels, bound.given.images.pixels)
