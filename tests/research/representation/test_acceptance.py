"""What a correct implementation must show, item by item, on residual MLPs trained on MNIST.

Item 1, what a space must be, is in the tests of spaces. The replication has 1,000 images; so has the slow test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.research.representation.shape_study import ShapeOptions
from detector.research.representation.shape_study import study as shape_study
from detector.research.representation.study_options import PathStudyOptions, training
from detector.research.representation.training_claims import rises_with_depth
from detector.research.representation.training_study import study as training_study
from detector.training.data import LabelledImages
from tests.support.mnist import mnist_images
from tests.support.permuting import workplace

if TYPE_CHECKING:
    from pathlib import Path

    from detector.research.representation.spaces.base import Array
    from detector.research.studies import Study


def _check_straighter(steps: Array, span: Array) -> None:
    """D.7.2: training shortens and straightens. Of networks, (networks, 2, ...), at the start and at the end."""
    lengths = steps.sum(-1)
    slacks = lengths / span
    assert (lengths[:, 1] < lengths[:, 0]).all()
    assert (slacks[:, 1] < slacks[:, 0]).all()


def _check_nearing(to_target: Array, tolerance: float = 0.01) -> None:
    """D.7.3: the distance to the target does not rise with depth, and drops far at the softmax; (networks, 2, L)."""
    assert rises_with_depth(to_target[:, 1]).max() <= tolerance
    assert (to_target[:, 1, -2] - to_target[:, 1, -1] > 0.3).all()


def test_d7_2_and_3_on_a_few_images(tmp_path: Path, shared_data: Path) -> None:
    images = LabelledImages.of(mnist_images(shared_data)).take(range(5000))
    options = PathStudyOptions(images=images, networks=training(3), depth=2, seeds=2, inputs=500)
    arrays = training_study(workplace(tmp_path), options).arrays
    ends = [0, -1]
    _check_straighter(arrays["steps"][:, ends], arrays["span"][:, ends])
    _check_nearing(arrays["to_target"][:, ends])


def test_d7_4_wider_networks_are_closer_across_seeds(tmp_path: Path, shared_data: Path) -> None:
    images = LabelledImages.of(mnist_images(shared_data)).take(range(5000))
    options = ShapeOptions(
        images=images,
        networks=training(3),
        depth=2,
        width=16,
        depths=(2,),
        widths=(16, 128),
        seeds=2,
        inputs=500,
    )
    narrow, wide = (float(np.mean(values)) for values in _across(shape_study(workplace(tmp_path), options)))
    assert wide < 0.8 * narrow


def _across(study: Study) -> list[list[float]]:
    return [one["trained"]["across seeds"] for one in study.figures["shapes"].values()]


@pytest.mark.slow
def test_d7_2_to_4_as_replicated(tmp_path: Path, shared_data: Path) -> None:
    options = ShapeOptions(images=LabelledImages.of(mnist_images(shared_data)), seeds=2)
    study = shape_study(workplace(tmp_path), options)
    for depth, width in options.shapes:
        name = options.name(depth, width)
        steps, span, to_target = (study.arrays[f"{name} {array}"] for array in ("steps", "span", "to_target"))
        _check_straighter(steps, span)
        # In the deepest and the narrowest the logits are a hair further than the last block.
        _check_nearing(to_target, 0.01 if (depth, width) == (options.depth, options.width) else 0.02)
    by_width = [
        float(np.mean(study.figures["shapes"][options.name(options.depth, width)]["trained"]["across seeds"]))
        for width in options.widths
    ]
    assert by_width == sorted(by_width, reverse=True)
