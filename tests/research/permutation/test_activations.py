from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.classifiers.program import Program
from detector.errors import AnalysisError
from detector.research.permutation.activations import Features, _chosen, match_activations
from detector.research.permutation.kernels import Kernel, Likeness
from detector.research.permutation.spec import composed, identity, permuted, random_permutations
from detector.research.permutation.tracing import derive_spec
from tests.research.permutation.networks import Residual, Strange, mlp

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

IMAGES = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
RNG = np.random.default_rng(0)


def _program(builder: Callable[[], nn.Module]) -> Program:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Program.of(builder().eval(), IMAGES[:3], name="network")


@pytest.mark.parametrize("builder", [lambda: mlp(20, 12), Residual])
@pytest.mark.parametrize("kernel", Kernel)
@pytest.mark.parametrize("features", Features)
def test_a_known_permutation_is_recovered(builder: Callable[[], nn.Module], kernel: Kernel, features: Features) -> None:
    program = _program(builder)
    spec = derive_spec(program, IMAGES[:3])
    shuffled = random_permutations(spec, 3)
    moved = permuted(spec, program.state, shuffled)
    found = match_activations(
        program, spec, program.state, moved, [IMAGES[:40], IMAGES[40:]], kernel=kernel, features=features
    )
    answered = program.activations(IMAGES, {place.tensor for g in spec.groups for place in g.features})
    for group in spec.groups:
        looked_at = _chosen(group.features, features)
        rows = torch.cat([place.rows(answered[place.tensor]) for place in looked_at], 1)
        alive = rows.std(1).numpy() > 1e-6
        back = composed(shuffled, found)[group.name]
        np.testing.assert_array_equal(back[alive], identity(spec)[group.name][alive])


@pytest.mark.parametrize("kernel", Kernel)
def test_likeness_of_streamed_rows_is_that_of_all_at_once(kernel: Kernel) -> None:
    one, other = RNG.normal(2, 1, (4, 30)), RNG.normal(1, 3, (4, 30))
    other[3] = 0
    likeness = Likeness(4, kernel)
    for rows in (slice(0, 7), slice(7, 30)):
        likeness.add(torch.from_numpy(one[:, rows]), torch.from_numpy(other[:, rows]))
    wanted = one @ other.T
    if kernel is Kernel.COSINE:
        lengths = np.outer(np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1))
        wanted = np.divide(wanted, lengths, out=np.zeros_like(wanted), where=lengths > 0)
    elif kernel is Kernel.CORRELATION:
        wanted[:, :3] = np.corrcoef(one, other[:3])[:4, 4:]
        wanted[:, 3] = 0
    np.testing.assert_allclose(likeness.gram.numpy(), wanted, atol=1e-9)


@pytest.mark.parametrize("kernel", Kernel)
def test_units_whose_answers_overflow_are_refused(kernel: Kernel) -> None:
    program = _program(lambda: mlp(20, 12))
    spec = derive_spec(program, IMAGES[:3])
    loud = {name: 1e20 * value for name, value in program.state.items()}
    with pytest.raises(
        AnalysisError, match=r"the units of 3\.weight can't be matched: how alike they are is no finite"
    ):
        match_activations(program, spec, program.state, loud, [IMAGES], kernel=kernel)


def test_without_images_there_is_nothing_to_match_by() -> None:
    program = _program(Strange)
    spec = derive_spec(program, IMAGES[:3])
    with pytest.raises(AnalysisError, match="no images to compare them on"):
        match_activations(program, spec, program.state, program.state, [])
