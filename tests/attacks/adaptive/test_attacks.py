"""Every attack with gradients: within its ball, winning where it must, and stronger than one that knows no guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.attacks.adaptive.ball import Ball, plain_pgd
from detector.attacks.adaptive.joint import orthogonal_part
from detector.attacks.adaptive.mimicry import connection_loss
from detector.attacks.adaptive.running import (
    ADAPTIVE_ATTACKS,
    AdaptiveAttack,
    SuccessRates,
    attack_guard,
    success_rates,
)
from detector.profiles import PathKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.attacks.adaptive.guard import DifferentiableGuard
    from detector.classifiers.base import Float32Array
    from detector.detector import Detector

    Attacked = tuple[Float32Array, NDArray[np.int64]]

JOINT = ADAPTIVE_ATTACKS[0]


def _plain(guard: DifferentiableGuard, attacked: Attacked, budget: float) -> SuccessRates:
    images, labels = (torch.from_numpy(part) for part in attacked)
    random = torch.Generator().manual_seed(0)
    moved = plain_pgd(guard.walker, Ball.around(images, budget), labels, steps=20, generator=random)
    return success_rates(guard.detector, moved.numpy(), attacked[1])


@pytest.mark.parametrize("attack", ADAPTIVE_ATTACKS, ids=lambda attack: attack.name)
@pytest.mark.parametrize("budget", [0.1, 7.3 / 255])
def test_attacked_images_are_whole_levels_within_the_budget(
    attack: AdaptiveAttack, budget: float, tree_guard: DifferentiableGuard, attacked: Attacked
) -> None:
    images, labels = attacked[0][:4], attacked[1][:4]
    moved = attack_guard(attack, tree_guard, images, labels, budget=budget, steps=4, seed=0)
    assert moved.dtype == np.float32
    assert np.abs(moved - images).max() <= budget + 1e-6
    assert moved.min() >= 0
    assert moved.max() <= 1
    np.testing.assert_allclose(moved * 255, np.rint(moved * 255), atol=1e-3)
    assert (moved != images).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("attack", ADAPTIVE_ATTACKS, ids=lambda attack: attack.name)
def test_without_a_limit_the_class_is_always_lost(
    attack: AdaptiveAttack, guard: DifferentiableGuard, attacked: Attacked
) -> None:
    moved = attack_guard(attack, guard, *attacked, budget=1.0, steps=20, seed=0)
    assert success_rates(guard.detector, moved, attacked[1]).fooled == 1


@pytest.mark.parametrize("scorer", ["guard", "tree_guard"])
def test_without_a_limit_the_guard_is_lost(scorer: str, attacked: Attacked, request: pytest.FixtureRequest) -> None:
    guard: DifferentiableGuard = request.getfixturevalue(scorer)
    moved = attack_guard(JOINT, guard, *attacked, budget=1.0, steps=20, seed=0)
    assert success_rates(guard.detector, moved, attacked[1]).sr5 > 0.9


@pytest.mark.parametrize("scorer", ["guard", "tree_guard"])
def test_who_knows_the_guard_gets_past_it_more_often(
    scorer: str, attacked: Attacked, request: pytest.FixtureRequest
) -> None:
    guard: DifferentiableGuard = request.getfixturevalue(scorer)
    plain = _plain(guard, attacked, 0.2)
    moved = attack_guard(JOINT, guard, *attacked, budget=0.2, steps=20, seed=0)
    knowing = success_rates(guard.detector, moved, attacked[1])
    assert plain.fooled == 1
    assert knowing.sr5 > plain.sr5 + 0.3
    assert knowing.sr50 >= plain.sr50


def test_the_seed_decides_and_progress_counts_images(guard: DifferentiableGuard, attacked: Attacked) -> None:
    told: list[int] = []
    images, labels = attacked[0][:3], attacked[1][:3]
    runs = [
        attack_guard(JOINT, guard, images, labels, budget=0.05, steps=3, seed=seed, on_progress=told.append)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()
    assert told == [3, 3, 3]


def test_a_single_step_is_an_attack_too(guard: DifferentiableGuard, attacked: Attacked) -> None:
    moved = attack_guard(JOINT, guard, attacked[0][:2], attacked[1][:2], budget=0.1, steps=1, seed=0)
    assert moved.shape == attacked[0][:2].shape


def test_the_orthogonal_part_is_orthogonal_and_the_rest_is_parallel() -> None:
    random = torch.Generator().manual_seed(0)
    direction, to = torch.randn(2, 5, 3, 4, 4, generator=random)
    to[4] = 0
    part = orthogonal_part(direction, to)
    np.testing.assert_allclose((part * to).sum((1, 2, 3)), 0, atol=1e-5)
    cosines = torch.nn.functional.cosine_similarity((direction - part)[:4].flatten(1), to[:4].flatten(1))
    np.testing.assert_allclose(cosines.abs(), 1, atol=1e-5)
    assert torch.equal(part[4], direction[4])


def test_the_connection_loss_is_the_path_loss_to_the_class_that_is_reached(
    guard: DifferentiableGuard, attacked: Attacked
) -> None:
    images, labels = (torch.from_numpy(part) for part in attacked)
    found = guard.detector.score_canonical(attacked[0]).profile
    rows = [at for at, target in enumerate(found.plan.targets) if target.kind is PathKind.PROTOTYPE]
    with torch.no_grad():
        walk = guard.walker.walk(images)
    elsewhere = connection_loss(walk, (labels + 1) % 10)
    np.testing.assert_allclose(elsewhere, found.losses[:, rows].mean((1, 2)), atol=1e-4)
    here = connection_loss(walk, labels)
    assert (here > elsewhere).double().mean() > 0.9  # an image is nearer to its own class than to the runner-up


def test_success_rates_count_what_is_misclassified_and_passes(one_class: Detector, attacked: Attacked) -> None:
    images, labels = attacked
    found = one_class.score_canonical(images)
    assert success_rates(one_class, images, labels) == SuccessRates(0, 0, 0)
    wrong = labels.copy()
    wrong[:8] += 1
    wrong %= 10
    rates = success_rates(one_class, images, wrong)
    assert rates.fooled == 0.5
    assert rates.sr5 == (found.p_values[:8] > 0.05).sum() / 16
    assert rates.sr50 == (found.p_values[:8] > 0.5).sum() / 16
    assert 0 < rates.sr50 < rates.sr5
