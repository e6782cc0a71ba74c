"""The study of width on digits: what is measured is what it says, and it is all there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.embedded import labelled_digits
from detector.errors import AnalysisError
from detector.reporting.document import document
from detector.reporting.parts import paragraph
from detector.research.networks import trained_networks
from detector.research.permutation.barriers import barrier, line, loss_and_error
from detector.research.permutation.matching import match_weights
from detector.research.permutation.networks import Architecture, NetworkOptions
from detector.research.permutation.references import through_reference
from detector.research.permutation.spec import interpolated, permuted
from detector.research.permutation.width_job import Comparison
from detector.research.permutation.width_study import WidthOptions, study
from tests.support.permuting import workplace

if TYPE_CHECKING:
    from pathlib import Path

    from detector.research.studies import Study

OPTIONS = WidthOptions(
    images=labelled_digits().take(range(700)),
    networks=NetworkOptions(epochs=5),
    widths=(4, 32),
    triples=2,
    points=5,
    mixtures=3,
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    folder = tmp_path_factory.mktemp("width")
    return folder, study(workplace(folder), OPTIONS)


def test_everything_is_measured_for_every_triple(found: tuple[Path, Study]) -> None:
    arrays = found[1].arrays
    assert arrays["barriers"].shape == (2, 2, len(Comparison), 2, 2)
    assert arrays["curves"].shape == (2, 2, len(Comparison), 2, 5)
    assert arrays["agreement"].shape == (2, 2, 3)
    assert (arrays["barriers"] >= -1e-9).all()
    assert ((arrays["agreement"] >= 0) & (arrays["agreement"] <= 1)).all()
    assert (arrays["simplex"] >= arrays["middle"] - 1e-9).all()
    np.testing.assert_allclose(arrays["merged"] - arrays["single"], arrays["middle"])


def test_figures_and_pages_hold_every_comparison_and_say_their_n(found: tuple[Path, Study]) -> None:
    one = found[1]
    assert list(one.figures["barriers"]) == [which.value for which in Comparison]
    assert len(one.figures["barriers"]["as they are"]["error, held-out"]) == 2
    page = document("Width", paragraph("all of it"), one.sections)
    assert page.count("<svg") == len(one.charts) == 3
    assert all("n = 2 triples" in chart for chart in one.charts.values())
    assert "mathdefault" not in page
    assert len(one.claims) == 8


def test_what_is_finished_is_found_again(found: tuple[Path, Study]) -> None:
    folder, first = found
    place = workplace(folder)
    assert study(place, OPTIONS).figures == first.figures
    assert place.progress.stages == []  # type: ignore[attr-defined] # a Recorder


def test_the_barriers_are_those_of_the_three_networks_by_hand(found: tuple[Path, Study]) -> None:
    folder, first = found
    train, held_out = OPTIONS.images.split(round(len(OPTIONS.images) * 0.8), 0)
    recipes = [OPTIONS.networks.recipe(32, train, seed) for seed in range(6)]
    weights = trained_networks(workplace(folder), "Training", recipes, train)
    architecture = Architecture.of(recipes[0])
    a, b, c = (architecture.state(weights, number, 0) for number in (3, 4, 5))

    def matched(moved: Any, reference: Any) -> Any:
        return match_weights(architecture.spec, [reference], [moved], OPTIONS.matching).permutations

    through = permuted(architecture.spec, b, through_reference(matched(b, c), matched(a, c)))
    by_hand = barrier(architecture.program, [a, through], line(5), held_out)
    place = list(Comparison).index(Comparison.REFERENCE)
    np.testing.assert_allclose(first.arrays["barriers"][1, 1, place, 1], [by_hand.loss, by_hand.error], atol=1e-5)
    aligned = [permuted(architecture.spec, state, matched(state, c)) for state in (a, b)]
    merged = interpolated([*aligned, c], [1 / 3] * 3)
    np.testing.assert_allclose(
        first.arrays["merged"][1, 1, 1], loss_and_error(architecture.program, merged, held_out), atol=1e-5
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"widths": ()}, "widths must rise"),
        ({"widths": (16, 8)}, "widths must rise"),
        ({"widths": (1, 8)}, "widths must lie in 2"),
        ({"triples": 1}, "triples must lie in 2"),
        ({"test_share": 1.0}, "test_share must lie between"),
        ({"points": 2}, "points be at least 3"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        WidthOptions(images=OPTIONS.images, **given)
