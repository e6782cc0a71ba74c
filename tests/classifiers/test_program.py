from __future__ import annotations

import pytest
import torch
from torch import nn

from detector.classifiers.program import Program
from detector.errors import AnalysisError

IMAGES = torch.rand(7, 1, 4, 4, generator=torch.Generator().manual_seed(0))
"""More than any network here was traced with."""


class _Shared(nn.Module):
    """One layer under two names, a buffer, a constant, and a second output."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = self.again = nn.Linear(16, 16)
        self.register_buffer("shift", torch.full((16,), 0.25))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.inner(images.flatten(1)).relu_()
        return self.again(hidden) + self.shift + torch.arange(16.0), hidden


def _seeded(seed: int) -> _Shared:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _Shared().eval()


def test_a_program_answers_as_its_module_with_its_own_weights_and_with_others() -> None:
    module, other = _seeded(0), _seeded(1)
    program = Program.of(module, IMAGES[:3], name="network")
    torch.testing.assert_close(program.logits(IMAGES), module(IMAGES)[0])
    state = {name: other.state_dict()[name] for name in program.state}
    torch.testing.assert_close(program.logits(IMAGES, state), other(IMAGES)[0])


def test_a_tensor_that_layers_share_stands_under_its_first_name() -> None:
    program = Program.of(_seeded(0), IMAGES[:3], name="network")
    assert set(program.state) == {"inner.weight", "inner.bias", "shift"}
    assert program.buffers == {"shift"}
    assert program.inputs.count(None) == 1


def test_activations_are_what_the_layers_give_before_anything_works_on_them_in_place() -> None:
    module, other = _seeded(0), _seeded(1)
    program = Program.of(module, IMAGES[:3], name="network")
    linear, *_ = (node.name for node in program.graph.graph.nodes if "linear" in str(node.target))
    found = program.activations(IMAGES, {linear, "nothing"})
    assert set(found) == {linear}
    torch.testing.assert_close(found[linear], module.inner(IMAGES.flatten(1)))
    (others,) = program.activations(IMAGES, {linear}, dict(other.state_dict())).values()
    torch.testing.assert_close(others, other.inner(IMAGES.flatten(1)))


class _Branching(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images if float(images.sum()) > 0 else -images


def test_a_network_that_cannot_be_traced_is_refused() -> None:
    with pytest.raises(AnalysisError, match=r"^mine: can't be traced by torch\.export: "):
        Program.of(_Branching(), IMAGES, name="mine")
