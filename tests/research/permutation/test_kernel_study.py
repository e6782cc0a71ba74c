from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.embedded import labelled_digits
from detector.reporting.document import document
from detector.reporting.parts import paragraph
from detector.research.networks import trained_networks
from detector.research.permutation.activations import match_activations
from detector.research.permutation.barriers import barrier, line
from detector.research.permutation.kernel_job import COSINE, LINEAR, METHODS, NONE, By, Method
from detector.research.permutation.kernel_sections import Aligned, kernel_claims
from detector.research.permutation.kernel_study import KernelOptions, study
from detector.research.permutation.kernels import Kernel
from detector.research.permutation.networks import Architecture, NetworkOptions
from detector.research.permutation.spec import permuted
from tests.support.permuting import workplace

if TYPE_CHECKING:
    from detector.research.studies import Study, Workplace


OPTIONS = KernelOptions(
    images=labelled_digits(), networks=NetworkOptions(batch=32, epochs=8), width=24, pairs=3, points=7
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return workplace(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(scope="module")
def found(place: Workplace) -> Study:
    return study(place, OPTIONS)


def test_every_way_of_matching_lowers_the_barrier(found: Study) -> None:
    errors = found.arrays["barriers"][:, :, 0, 1].mean(0)
    assert errors.shape == (len(METHODS),)
    assert (errors[1:] < errors[METHODS.index(NONE)] / 2).all()
    assert found.claims[2].agrees


def test_weight_matching_comes_closest_by_weights_and_restarts_never_part_them(found: Study) -> None:
    """Both networks' lengths stay, so the cosine rises with what weight matching with the linear kernel looks for."""
    cosines = {method: found.arrays["cosine"][:, METHODS.index(method)] for method in METHODS}
    often = Method(By.WEIGHTS, restarts=5)
    assert (cosines[often] >= cosines[LINEAR] - 1e-9).all()
    for method in METHODS:
        assert (cosines[method] <= cosines[often] + 0.01).all()
        assert (cosines[method] >= cosines[NONE] - 1e-9).all()
    assert (found.arrays["seconds"] >= 0).all()


def test_a_pair_is_that_of_the_two_networks_by_hand(place: Workplace, found: Study) -> None:
    train, held_out = OPTIONS.images.split(round(0.8 * len(OPTIONS.images)), 0)
    recipes = [OPTIONS.networks.recipe(24, train, seed) for seed in range(6)]
    weights = trained_networks(place, "Training", recipes, train)
    architecture = Architecture.of(recipes[0])
    one, other = (architecture.state(weights, number, 0) for number in (2, 3))
    permutations = match_activations(
        architecture.program, architecture.spec, one, other, train.batches(500), kernel=Kernel.COSINE
    )
    moved = permuted(architecture.spec, other, permutations)
    by_hand = barrier(architecture.program, [one, moved], line(7), held_out)
    method = METHODS.index(Method(By.ACTIVATIONS, Kernel.COSINE))
    np.testing.assert_allclose(found.arrays["barriers"][1, method, 1], [by_hand.loss, by_hand.error], atol=1e-5)


def test_finished_work_is_found_again_and_can_be_read(place: Workplace, found: Study) -> None:
    kept = {file: file.stat().st_mtime_ns for file in place.store.folder.iterdir()}
    again = study(place, OPTIONS)
    assert {file: file.stat().st_mtime_ns for file in place.store.folder.iterdir()} == kept
    assert again.figures == found.figures
    page = document("Kernels", paragraph("all of it"), found.sections)
    assert page.count("<svg") == len(found.charts) == 1
    assert "not run again" in page
    assert list(found.figures["methods"]) == [method.name for method in METHODS]
    small = OPTIONS.small()
    assert (small.pairs, small.networks.epochs) == (2, 4)
    assert small.to_json()["images"] == OPTIONS.images.digest


def test_ways_of_matching_have_names_of_their_own() -> None:
    assert len({method.name for method in METHODS}) == len(METHODS)
    assert Method(By.WEIGHTS, Kernel.COSINE, vectors=False, restarts=2).name == (
        "weights, cosine, without vectors, 2 starts"
    )


@pytest.mark.parametrize(
    ("linear", "cosine", "lower", "half"),
    [
        ((0.07, 0.08, 0.075), (0.14, 0.15, 0.145), True, True),
        ((0.13, 0.14, 0.135), (0.14, 0.15, 0.145), True, False),
        ((0.14, 0.15, 0.145), (0.07, 0.08, 0.075), False, False),
        ((0.07, 0.20, 0.10), (0.14, 0.15, 0.145), None, None),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), None, None),
    ],
)
def test_a_lower_barrier_is_told_from_no_difference(
    linear: tuple[float, ...], cosine: tuple[float, ...], lower: object, half: object
) -> None:
    barriers = np.full((3, len(METHODS), 2, 2), 0.1)
    barriers[:, METHODS.index(NONE)] = 0.9
    for method, values in ((LINEAR, linear), (COSINE, cosine)):
        barriers[:, METHODS.index(method), 0, 1] = values
    claims = kernel_claims(Aligned("made up", {"barriers": barriers, "cosine": np.zeros((3, len(METHODS)))}))
    assert [claim.agrees for claim in claims] == [lower, half, True]
