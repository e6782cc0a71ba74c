from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.embedded import labelled_digits
from detector.reporting.document import document
from detector.reporting.parts import paragraph
from detector.research.permutation.agreement import agreement
from detector.research.permutation.barriers import barrier, line, loss_and_error
from detector.research.permutation.masks import permuted_masks
from detector.research.permutation.matching import match_weights
from detector.research.permutation.networks import Architecture, NetworkOptions
from detector.research.permutation.pruning_jobs import Alignment, Masking
from detector.research.permutation.pruning_study import PruningOptions, study
from detector.research.permutation.spec import inverse, permuted
from detector.training.data import LabelledImages
from detector.training.pruning import PruningPlan, pruned, trained_under
from tests.support.mnist import mnist_images
from tests.support.permuting import workplace

if TYPE_CHECKING:
    from pathlib import Path

    from detector.research.studies import Study, Workplace

LEVELS = 2


OPTIONS = PruningOptions(
    images=labelled_digits(),
    networks=NetworkOptions(batch=64, epochs=8),
    width=48,
    pairs=2,
    levels=LEVELS,
    share=0.65,
    points=7,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return workplace(tmp_path_factory.mktemp("pruning"))


@pytest.fixture(scope="module")
def found(place: Workplace) -> Study:
    return study(place, OPTIONS)


def _errors(found: Study, alignment: Alignment) -> np.ndarray:
    """Mean error barriers on training images, by level."""
    barriers = found.arrays["barriers"][:, :, list(Alignment).index(alignment), 0, 1]
    return np.asarray(barriers.mean(0))


def test_digits_the_dense_permutation_connects_pruned_networks_and_none_does_not(found: Study) -> None:
    none, dense = _errors(found, Alignment.NONE), _errors(found, Alignment.DENSE)
    assert (dense < none / 4).all()
    assert dense.max() < 0.025
    assert none.min() > 0.1
    assert found.arrays["agreement"][:, 0].tolist() == [1, 1]  # the dense permutation is level 0's own
    np.testing.assert_array_equal(found.arrays["barriers"][:, 0, 1], found.arrays["barriers"][:, 0, 2])
    assert (found.arrays["agreement"][:, 1:] < 1).all()


def test_digits_masks_are_carried_over_with_their_density(found: Study) -> None:
    """A mask carried over serves better than one at random, which keeps the layers' densities too."""
    errors = found.arrays["transported"][:, :, :, 1, 1].mean((0, 1))
    own, carried, _, random = (errors[list(Masking).index(masking)] for masking in Masking)
    assert own < 0.2
    assert carried < random
    np.testing.assert_allclose(found.arrays["densities"], 0.35 ** np.arange(LEVELS + 1), atol=0.001)


def test_a_level_is_that_of_the_two_networks_by_hand(found: Study) -> None:
    train, held_out = OPTIONS.images.split(round(0.8 * len(OPTIONS.images)), 0)
    recipes = [OPTIONS.networks.recipe(48, train, seed) for seed in (2, 3)]  # of the second pair
    plan = OPTIONS.plan(OPTIONS.networks.epoch_steps(train))
    one, other = (list(pruned(recipe, train, replace(plan, levels=1))) for recipe in recipes)
    architecture = Architecture.of(recipes[0])
    spec, program = architecture.spec, architecture.program
    a, b = ([architecture.state(level.weights) for level in levels] for levels in (one, other))
    dense = match_weights(spec, [a[0]], [b[0]], OPTIONS.matching).permutations
    by_hand = barrier(program, [a[1], permuted(spec, b[1], dense)], line(7), held_out)
    measured = found.arrays["barriers"][1, 1, list(Alignment).index(Alignment.DENSE), 1]
    np.testing.assert_allclose(measured, [by_hand.loss, by_hand.error], atol=1e-5)
    carried = permuted_masks(spec, one[1].masks, inverse(dense))
    weights = trained_under(recipes[1], train, carried, rewind_step=plan.rewind_step)
    np.testing.assert_allclose(
        found.arrays["transported"][1, 0, list(Masking).index(Masking.PERMUTED), 1],
        loss_and_error(program, architecture.state(weights), held_out),
        atol=1e-5,
    )
    assert found.arrays["agreement"][1, 1] == agreement(
        spec, a[1], b[1], dense, match_weights(spec, [a[1]], [b[1]], OPTIONS.matching).permutations
    )


def test_what_it_found_can_be_read(found: Study) -> None:
    page = document("Pruning", paragraph("all of it"), found.sections)
    assert page.count("<svg") == len(found.charts) == 3
    assert {"barriers", "agreement", "transport"} == set(found.charts)
    assert [claim.agrees for claim in found.claims][2:4].count(None) == 0
    barriers = found.figures["barriers"][Alignment.DENSE.value]["error, training"]
    assert [one["value"] for one in barriers] == pytest.approx(_errors(found, Alignment.DENSE).tolist())


def test_finished_work_is_found_again(place: Workplace, found: Study) -> None:
    kept = {file: file.stat().st_mtime_ns for file in place.store.folder.iterdir()}
    again = study(place, OPTIONS)
    assert {file: file.stat().st_mtime_ns for file in place.store.folder.iterdir()} == kept
    assert again.figures == found.figures
    assert again.claims == found.claims


def test_options_are_told_and_made_small() -> None:
    assert OPTIONS.to_json()["images"] == OPTIONS.images.digest
    small = OPTIONS.small()
    assert (small.pairs, small.levels, small.networks.epochs) == (2, LEVELS, 4)
    assert OPTIONS.plan(34) == PruningPlan(levels=LEVELS, share=0.65, rewind_step=34)


@pytest.mark.slow
def test_mnist_the_dense_permutation_keeps_barriers_below_two_percent(shared_data: Path, tmp_path: Path) -> None:
    """Below 0.02 at every level, where without a permutation they stay above 0.1."""
    images = LabelledImages.of(mnist_images(shared_data))
    found = study(workplace(tmp_path), PruningOptions(images=images, pairs=2, points=11, transport=False))
    assert _errors(found, Alignment.DENSE).max() < 0.02
    assert _errors(found, Alignment.SPARSE).max() < 0.02
    assert _errors(found, Alignment.NONE).min() > 0.1
    agreement = found.arrays["agreement"].mean(0)
    assert agreement[-1] < agreement[1] < 1
    assert all(claim.agrees for claim in found.claims)
