"""What a correct implementation must show, item by item: the directions of the paper, on networks trained for it.

Items 1 and 2 are theorems. 3 and 4 are directions on MNIST; 5 is in the tests of pruning, 6 in those of kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.embedded import labelled_digits
from detector.research.networks import trained_networks
from detector.research.permutation.barriers import barrier, line
from detector.research.permutation.matching import MatchingOptions, match_weights
from detector.research.permutation.networks import Architecture, NetworkOptions
from detector.research.permutation.spec import composed, identity, permuted, random_permutations
from detector.research.permutation.trajectories import NONE
from detector.research.permutation.trajectory_study import TrajectoryOptions
from detector.research.permutation.trajectory_study import study as trajectory_study
from detector.research.permutation.width_job import Comparison
from detector.research.permutation.width_study import WidthOptions
from detector.research.permutation.width_study import study as width_study
from detector.training.data import LabelledImages
from tests.support.mnist import mnist_images
from tests.support.permuting import workplace

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from detector.research.studies import Study

DIGITS = labelled_digits()
Trained = tuple[Architecture, list[dict[str, "Tensor"]]]


@pytest.fixture(scope="module", params=["mlp-1-1", "cnn-1-1-layernorm"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two networks of one architecture."""
    options = NetworkOptions(architecture=request.param, epochs=4)
    recipes = [options.recipe(12, DIGITS, seed) for seed in (0, 1)]
    weights = trained_networks(workplace(tmp_path_factory.mktemp("trained")), "Training", recipes, DIGITS)
    architecture = Architecture.of(recipes[0])
    return architecture, [architecture.state(weights, number, 0) for number in range(2)]


def test_b6_1_a_permuted_network_computes_the_same(trained: Trained) -> None:
    architecture, (_, b) = trained
    images = torch.from_numpy(DIGITS.canonical[:100])
    wanted = architecture.program.logits(images, b)
    for seed in range(3):
        moved = permuted(architecture.spec, b, random_permutations(architecture.spec, seed))
        torch.testing.assert_close(architecture.program.logits(images, moved), wanted, rtol=1e-4, atol=1e-4)


def test_b6_1_weight_matching_recovers_a_known_permutation(trained: Trained) -> None:
    architecture, (a, _) = trained
    shuffled = random_permutations(architecture.spec, 3)
    moved = permuted(architecture.spec, a, shuffled)
    found = match_weights(architecture.spec, [a], [moved], MatchingOptions(restarts=3)).permutations
    for group, back in composed(shuffled, found).items():
        np.testing.assert_array_equal(back, identity(architecture.spec)[group])


def test_b6_1_the_objective_never_decreases(trained: Trained) -> None:
    architecture, (a, b) = trained
    for seed in range(3):
        found = match_weights(architecture.spec, [a], [b], MatchingOptions(seed=seed))
        assert (np.diff(found.objectives) >= -1e-9).all()
        assert found.objectives[-1] > found.objectives[0]


def test_b6_2_a_network_has_no_barrier_to_itself(trained: Trained) -> None:
    architecture, (a, _) = trained
    found = barrier(architecture.program, [a, a], line(5), DIGITS)
    assert (found.loss, found.error) == pytest.approx((0, 0), abs=1e-6)


def test_b6_2_permuting_both_alike_leaves_their_barrier(trained: Trained) -> None:
    architecture, (a, b) = trained
    same = random_permutations(architecture.spec, 7)
    plain = barrier(architecture.program, [a, b], line(5), DIGITS)
    both = barrier(architecture.program, [permuted(architecture.spec, one, same) for one in (a, b)], line(5), DIGITS)
    np.testing.assert_allclose(both.losses, plain.losses, rtol=1e-4, atol=1e-5)
    assert both.error == pytest.approx(plain.error, abs=2 / len(DIGITS))
    assert plain.error > 0.02


def _mnist(shared_data: Path) -> LabelledImages:
    return LabelledImages.of(mnist_images(shared_data))


def _errors(study: Study, which: Comparison) -> list[float]:
    return [one["value"] for one in study.figures["barriers"][which.value]["error, training"]]


def _check_width(study: Study) -> None:
    naive, direct, through = (
        _errors(study, which) for which in (Comparison.NAIVE, Comparison.DIRECT, Comparison.REFERENCE)
    )
    for a, b, c in zip(direct, through, naive, strict=True):
        assert a < b < c
    for one in (naive, direct, through):
        assert one[-1] < one[0]


def test_b6_3_direct_is_below_through_a_reference_below_none_and_all_fall_with_width(
    tmp_path: Path, shared_data: Path
) -> None:
    images = _mnist(shared_data).take(range(4000))
    options = WidthOptions(
        images=images, networks=NetworkOptions(epochs=8), widths=(8, 48), triples=2, points=7, mixtures=1
    )
    _check_width(width_study(workplace(tmp_path), options))


@pytest.mark.slow
def test_b6_3_the_mean_of_three_at_width_256_is_within_a_point_of_one(tmp_path: Path, shared_data: Path) -> None:
    study = width_study(workplace(tmp_path), WidthOptions(images=_mnist(shared_data), widths=(16, 256), triples=3))
    _check_width(study)
    networks = study.figures["three networks"]
    single, merged = (1 - networks[f"{name} error, held-out"][-1]["value"] for name in ("single", "merged"))
    assert merged > single - 0.01
    assert _errors(study, Comparison.DIRECT)[-1] < 0.02
    assert _errors(study, Comparison.REFERENCE)[-1] < 0.02


def test_b6_4_the_last_permutation_serves_all_epochs_and_the_first_does_not_serve_the_last(
    tmp_path: Path, shared_data: Path
) -> None:
    images = _mnist(shared_data).take(range(4000))
    options = TrajectoryOptions(
        images=images, networks=NetworkOptions(epochs=12), width=160, pairs=2, at=(0, 2, 12), points=3
    )
    _check_trajectory(trajectory_study(workplace(tmp_path), options), least=0.02)


@pytest.mark.slow
def test_b6_4_at_width_256_too(tmp_path: Path, shared_data: Path) -> None:
    options = TrajectoryOptions(images=_mnist(shared_data), width=256, pairs=2)
    _check_trajectory(trajectory_study(workplace(tmp_path), options), least=0.01)


def _check_trajectory(study: Study, least: float) -> None:
    barriers = study.figures["error barrier, training"]
    first, last = (f"epoch {study.figures['epochs'][place]}" for place in (0, -1))
    assert max(barriers[last]) < 0.02
    assert barriers[first][-1] > least
    assert barriers[first][-1] > 2 * barriers[last][-1]
    # In wide networks the start's permutation may leave more than none; what is held is the last one's lead over both.
    assert barriers[NONE][-1] > 2 * barriers[last][-1]
