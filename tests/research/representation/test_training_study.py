"""The study of training on digits: what is measured is what it says, and it is all there."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.embedded import labelled_digits
from detector.errors import AnalysisError
from detector.reporting.document import document
from detector.reporting.parts import paragraph
from detector.research.representation.kinds import Maps
from detector.research.representation.path import target_point
from detector.research.representation.spaces.registry import space_named
from detector.research.representation.study_options import PathStudyOptions, shape_name, training
from detector.research.representation.training_study import study
from detector.training.recipe import TrainingRecipe
from detector.training.runs import trained
from tests.support.permuting import workplace

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from detector.research.studies import Study

OPTIONS = PathStudyOptions(
    images=labelled_digits().take(range(600)),
    networks=training(3),
    depth=2,
    width=12,
    seeds=2,
    inputs=80,
)
POINTS = 6  # input, stem, two blocks, logits, softmax


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    folder = tmp_path_factory.mktemp("training")
    return folder, study(workplace(folder), OPTIONS)


def test_everything_is_measured_for_every_network_and_checkpoint(found: tuple[Path, Study]) -> None:
    arrays = found[1].arrays
    assert arrays["epochs"].tolist() == [0, 1, 2, 3]
    assert arrays["steps"].shape == (2, 4, POINTS - 1)
    assert arrays["to_target"].shape == arrays["progress"].shape == (2, 4, POINTS)
    assert arrays["turns"].shape == arrays["curvature"].shape == (2, 4, POINTS - 2)
    assert arrays["together"].shape == (4 * POINTS + 1, 4 * POINTS + 1)
    assert (arrays["steps"].sum(-1) >= arrays["span"] - 1e-9).all()
    assert arrays["accuracy"][:, -1].min() > arrays["accuracy"][:, 0].max()
    # The images and their classes are the same for all.
    np.testing.assert_allclose(arrays["to_target"][..., 0], arrays["to_target"][0, 0, 0])
    np.testing.assert_allclose(arrays["together"][-1, :-1], arrays["to_target"][0].ravel(), atol=1e-9)


def test_a_path_is_that_of_the_network_by_hand(found: tuple[Path, Study]) -> None:
    train, rest = OPTIONS.images.split(480, 0)
    images, space = rest.head(80), OPTIONS.space
    recipe = TrainingRecipe.of("resmlp2-12", train, training(3).plan(train), init_seed=1, order_seed=1)
    module: Any = trained(recipe, train)
    values, points = torch.from_numpy(images.canonical), [space.point(images.canonical.reshape(80, -1).astype(float))]
    with torch.no_grad():
        for layer in module:
            values = layer(values)
            if type(layer).__name__ in {"Linear", "ResidualLayer"}:
                points.append(space.point(values.double().numpy()))
    points.append(space.point(values.double().softmax(1).numpy()))
    target = target_point(images.labels, 10, space)
    arrays = found[1].arrays
    steps = [space.distance(a, b) for a, b in pairwise(points)]
    np.testing.assert_allclose(arrays["steps"][1, -1], steps, atol=1e-5)
    np.testing.assert_allclose(arrays["to_target"][1, -1], [space.distance(p, target) for p in points], atol=1e-5)
    assert arrays["accuracy"][1, -1] == (values.argmax(1).numpy() == images.labels).mean()


def test_figures_are_json_and_the_page_holds_every_chart(found: tuple[Path, Study]) -> None:
    one = found[1]
    figures = json.loads(json.dumps(one.figures, allow_nan=False))
    assert figures["points"] == ["input", "stem", "block 1", "block 2", "logits", "softmax"]
    assert len(figures["slack"]) == 2
    assert figures["options"]["space"] == "angular-cka"
    page = document("Training", paragraph("all of it"), one.sections)
    assert page.count("<svg") == len(one.charts) == 3
    assert "n = 2" in one.charts["course"]
    assert "block 2" in page


def test_what_is_finished_is_found_again(found: tuple[Path, Study]) -> None:
    folder, first = found
    place: Any = workplace(folder)
    assert study(place, OPTIONS).figures == first.figures
    assert place.progress.stages == []


def test_another_space_and_pooled_maps_are_studied_too(tmp_path: Path) -> None:
    options = PathStudyOptions(
        images=OPTIONS.images,
        networks=training(1),
        architecture="cnn",
        depth=2,
        width=4,
        seeds=2,
        inputs=60,
        space=space_named("stress"),
        maps=Maps.POOLED,
    )
    one = study(workplace(tmp_path), options)
    assert one.figures["points"] == ["input", "layer 1", "layer 2", "layer 3", "logits", "softmax"]
    assert len(one.claims) == 4  # none on residual blocks
    assert "stress" in one.figures["what"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"seeds": 1}, "seeds must lie in 2..100"),
        ({"inputs": 5}, "inputs must lie in 10.."),
        ({"test_share": 1.0}, "test_share"),
        ({"depth": 0}, "depth must lie"),
        ({"architecture": "vgg"}, "no network is called"),
    ],
)
def test_options_out_of_range_are_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(AnalysisError, match=reason):
        PathStudyOptions(images=OPTIONS.images, **changed)


def test_shapes_have_names() -> None:
    assert shape_name("resmlp", 4, 64) == "resmlp4-64"
    assert shape_name("resnet-layernorm", 8, 4) == "resnet8-4-layernorm"
    assert shape_name("mlp", 3, 16) == "mlp-16-16-16"
