"""The study of shape on digits: distances of seeds and shapes are those of their layers, and all shapes are there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.embedded import labelled_digits
from detector.errors import AnalysisError
from detector.reporting.document import document
from detector.reporting.parts import paragraph
from detector.research.representation.probe import layers_of
from detector.research.representation.shape_study import ShapeOptions, study
from detector.research.representation.study_options import training
from tests.support.permuting import workplace

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from detector.research.studies import Study

OPTIONS = ShapeOptions(
    images=labelled_digits().take(range(600)),
    networks=training(2),
    depth=1,
    width=8,
    depths=(1, 2),
    widths=(8, 32),
    seeds=2,
    inputs=60,
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    folder = tmp_path_factory.mktemp("shape")
    return folder, study(workplace(folder), OPTIONS)


def test_every_shape_is_measured_before_and_after_training(found: tuple[Path, Study]) -> None:
    arrays = found[1].arrays
    assert OPTIONS.shapes == ((1, 8), (2, 8), (1, 32))
    assert arrays["resmlp2-8 to_target"].shape == (2, 2, 6)
    assert arrays["resmlp1-8 pairs"].shape == (1, 2, 5, 5)
    assert arrays["together"].shape == (5 + 6 + 5 + 1,) * 2
    np.testing.assert_allclose(arrays["together"], arrays["together"].T, atol=1e-12)


def test_distances_of_two_seeds_are_those_of_their_layers(found: tuple[Path, Study]) -> None:
    folder, one = found
    train, probe = OPTIONS.split()
    trained = OPTIONS.trained(workplace(folder), train, 1, 32)
    network = layers_of(trained.recipe)
    paths = [probe.path(network.with_weights(trained.weights, number, 1)) for number in range(2)]
    wanted = [probe.space.distance(a, b) for a, b in zip(paths[0].points, paths[1].points, strict=True)]
    pairs = one.arrays["resmlp1-32 pairs"][0, 1]
    np.testing.assert_allclose(np.diagonal(pairs), wanted, atol=1e-9)
    # The first network's points stand in the matrix of all shapes too, the target behind them.
    rows = slice(11, 16)
    np.testing.assert_allclose(
        one.arrays["together"][rows, -1], [probe.space.distance(point, probe.target) for point in paths[0].points]
    )
    figures = one.figures["shapes"]["resmlp1-32"]["trained"]
    assert figures["across seeds"][0] == pytest.approx(np.mean(wanted[1:-2]))


def test_figures_are_json_and_the_page_holds_every_chart(found: tuple[Path, Study]) -> None:
    one = found[1]
    figures = json.loads(json.dumps(one.figures, allow_nan=False))
    assert list(figures["shapes"]) == ["resmlp1-8", "resmlp2-8", "resmlp1-32"]
    far = figures["path distances of first networks"]
    assert far["resmlp1-8"]["resmlp1-8"] == pytest.approx(0, abs=1e-9)
    assert far["resmlp1-8"]["resmlp2-8"] == pytest.approx(far["resmlp2-8"]["resmlp1-8"])
    page = document("Shape", paragraph("all of it"), one.sections)
    assert page.count("<svg") == len(one.charts) == 5
    assert len(one.claims) == 7


def test_what_is_finished_is_found_again(found: tuple[Path, Study]) -> None:
    folder, first = found
    place: Any = workplace(folder)
    assert study(place, OPTIONS).figures == first.figures
    assert place.progress.stages == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"depths": (2, 1)}, "depths must rise"),
        ({"widths": ()}, "widths must rise"),
        ({"widths": tuple(range(1, 30))}, "at most 20"),
        ({"widths": (10**9,)}, "widths must lie"),
    ],
)
def test_options_out_of_range_are_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(AnalysisError, match=reason):
        ShapeOptions(images=OPTIONS.images, **changed)
