from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from detector.classifiers.program import Program
from detector.errors import AnalysisError
from detector.research.permutation.barriers import barrier, line, loss_and_error, simplex
from detector.research.permutation.normalisation import has_statistics, restated
from detector.research.permutation.spec import interpolated, permuted, random_permutations
from detector.research.permutation.tracing import derive_spec
from detector.training.data import LabelledImages
from tests.research.permutation.networks import Residual, mlp

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

_GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(23, 1, 8, 8, generator=_GENERATOR)
DATA = LabelledImages(IMAGES.numpy(), torch.randint(0, 5, (23,), generator=_GENERATOR).numpy(), classes=5)
LABELS = torch.from_numpy(DATA.labels)


def _program(builder: Callable[[], nn.Module] = lambda: mlp(12, 9), seed: int = 1) -> Program:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Program.of(builder().eval(), IMAGES[:3], name="network")


def _states(builder: Callable[[], nn.Module] = lambda: mlp(12, 9), count: int = 2) -> list[dict[str, Tensor]]:
    return [{name: 3 * value for name, value in _program(builder, seed).state.items()} for seed in range(count)]


def test_loss_and_error_are_those_of_the_whole_in_one_batch() -> None:
    program = _program()
    logits = program.logits(IMAGES)
    loss, error = loss_and_error(program, program.state, DATA, batch=10)
    assert loss == pytest.approx(float(cross_entropy(logits, LABELS)), rel=1e-5)
    assert error == pytest.approx(float((logits.argmax(1) != LABELS).double().mean()))


def test_a_network_has_no_barrier_to_itself() -> None:
    program = _program()
    found = barrier(program, [program.state, program.state], line(5), DATA)
    assert found.loss == pytest.approx(0, abs=1e-6)
    assert found.error == 0


def test_a_barrier_is_measured_from_the_line_between_the_ends() -> None:
    program, states, told = _program(), _states(), list[int]()
    found = barrier(program, states, line(5), DATA, on_progress=told.append)
    assert sum(told) == 5
    ends = [loss_and_error(program, state, DATA) for state in states]
    middle = loss_and_error(program, interpolated(states, [0.5, 0.5]), DATA)
    np.testing.assert_allclose(found.corners, ends)
    assert found.losses[2] == pytest.approx(middle[0])
    assert found.loss >= max(0.0, middle[0] - (ends[0][0] + ends[1][0]) / 2) - 1e-9
    assert found.error >= max(0.0, middle[1] - (ends[0][1] + ends[1][1]) / 2) - 1e-9


def test_permuting_both_ends_alike_changes_nothing_and_one_of_them_does() -> None:
    program, states = _program(), _states()
    spec = derive_spec(program, IMAGES[:3])
    shuffled = random_permutations(spec, 4)
    plain = barrier(program, states, line(5), DATA)
    both = barrier(program, [permuted(spec, state, shuffled) for state in states], line(5), DATA)
    one = barrier(program, [states[0], permuted(spec, states[1], shuffled)], line(5), DATA)
    np.testing.assert_allclose(both.losses, plain.losses, rtol=1e-4)
    assert np.abs(one.losses - plain.losses).max() > 1e-2
    np.testing.assert_allclose(one.corners, plain.corners, rtol=1e-4)


def test_a_simplex_holds_its_corners_its_middle_and_what_is_between() -> None:
    shares = simplex(3, 4, seed=0)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert (shares >= 0).all()
    np.testing.assert_array_equal(shares[:3], np.eye(3))
    np.testing.assert_allclose(shares[3], 1 / 3)
    found = barrier(_program(), _states(count=3), shares, DATA)
    np.testing.assert_allclose(found.losses[:3], found.corners[:, 0])


def test_batch_norms_are_measured_as_the_layers_own_training_mode_would() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = Residual()
    program = Program.of(module.eval(), IMAGES[:3], name="network")
    assert has_statistics(program)
    assert not has_statistics(_program())
    found = restated(program, program.state, [IMAGES[:12], IMAGES[12:]])
    module.norm.momentum = None  # torch's own way to take the plain mean
    module.norm.reset_running_stats()
    module.norm.train()
    for batch in (IMAGES[:12], IMAGES[12:]):
        module(batch)
    assert module.norm.running_mean is not None
    assert module.norm.running_var is not None
    torch.testing.assert_close(found["norm.running_mean"], module.norm.running_mean)
    torch.testing.assert_close(found["norm.running_var"], module.norm.running_var)
    changed = {name for name in found if not torch.equal(found[name], program.state[name])}
    assert changed == {"norm.running_mean", "norm.running_var"}


def test_mixtures_of_networks_with_batch_norms_are_measured_anew_and_ends_are_not() -> None:
    program, states = _program(Residual), _states(Residual)
    plain = barrier(program, states, line(3), DATA)
    anew = barrier(program, states, line(3), DATA, statistics=DATA)
    np.testing.assert_array_equal(anew.corners, plain.corners)
    mixture = restated(program, interpolated(states, [0.5, 0.5]), DATA.batches(500))
    assert anew.losses[1] == pytest.approx(loss_and_error(program, mixture, DATA)[0])
    assert anew.losses[1] != pytest.approx(plain.losses[1])


def test_what_makes_no_sense_is_refused() -> None:
    program, states = _program(), _states()
    with pytest.raises(AnalysisError, match="points must be at least 2"):
        line(1)
    with pytest.raises(AnalysisError, match="rows of 2 shares that sum to 1"):
        barrier(program, states, simplex(3, 1, 0), DATA)
    with pytest.raises(AnalysisError, match="rows of 2 shares that sum to 1"):
        barrier(program, states, np.array([[0.5, 0.4]]), DATA)
    with pytest.raises(AnalysisError, match="no images to measure batch norms on"):
        restated(_program(Residual), states[0], [])
