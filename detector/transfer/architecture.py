"""Two programs of one architecture, whatever their layers are called: told by their operations, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from detector.classifiers.base import OutputKind
from detector.classifiers.torch import class_tensor, encode_tensor
from detector.errors import AnalysisError
from detector.research.permutation.program import Program

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node

    from detector.classifiers.torch import TorchClassifier
    from detector.research.permutation.spec import State


class _Canonical(nn.Module):
    """A classifier's module as one of canonical images, whose outputs are logits."""

    def __init__(self, classifier: TorchClassifier) -> None:
        super().__init__()
        self.module = classifier.module
        self._spec = classifier.spec
        self._kind = classifier.output_kind
        self.training = False

    def forward(self, images: Tensor) -> Tensor:
        rows = class_tensor(self.module(encode_tensor(self._spec, images))).flatten(1)
        return rows if self._kind is OutputKind.LOGITS else rows.clamp_min(torch.finfo(rows.dtype).tiny).log()


def program_of(classifier: TorchClassifier, example: Tensor, *, name: str) -> Program:
    """A classifier taken apart.

    Args:
        classifier: With gradients.
        example: float32 (2 or more, channels, height, width), canonical.
        name: What to call it in errors.

    Raises:
        AnalysisError: It can't be traced.
    """
    return Program.of(_Canonical(classifier), example, name=name)


def renamed_state(reference: Program, other: Program) -> dict[str, str]:
    """How the tensors of one program are called in another of the same architecture.

    Returns:
        By the name in `reference`, the name in `other`.

    Raises:
        AnalysisError: They do not do the same operations in the same order on tensors of the same shapes; the message
            says where they part.
    """
    (steps, inputs), (other_steps, other_inputs) = _taken_down(reference), _taken_down(other)
    for place, (one, two) in enumerate(zip(steps, other_steps, strict=False)):
        if one != two:
            raise AnalysisError(f"they are of different architectures: operation {place} is {one[0]}, and {two[0]}")
    if len(steps) != len(other_steps):
        raise AnalysisError(f"they are of different architectures: {len(steps)} and {len(other_steps)} operations")
    names = {}
    for one_name, other_name in zip(inputs, other_inputs, strict=True):
        if (one_name in reference.state) != (other_name in other.state):
            raise AnalysisError(f"they are of different architectures: {one_name} is a constant in one of them")
        found, wanted = _tensor(other, other_name), _tensor(reference, one_name)
        if found.shape != wanted.shape:
            raise AnalysisError(
                f"they are of different architectures: {one_name} has the shape {tuple(wanted.shape)}, and "
                f"{tuple(found.shape)}"
            )
        if one_name in reference.state:
            names[one_name] = other_name
        elif not torch.equal(found, wanted):
            raise AnalysisError(f"they have different constants ({one_name}), between which nothing can be mixed")
    return names


def under_names(reference: Program, other: Program, names: dict[str, str]) -> State:
    """The state of another program under the names of a reference, given `renamed_state`.

    What no operation reads, such as a count of batches, is the reference's.
    """
    return {name: other.state[names[name]] if name in names else value for name, value in reference.state.items()}


def _tensor(program: Program, name: str) -> Tensor:
    return program.state[name] if name in program.state else program.constants[name]


def _taken_down(program: Program) -> tuple[list[tuple[str, Any]], list[str]]:
    """All operations with their arguments, in which inputs and results are numbered; and the inputs in that order."""
    names = dict(
        zip((node for node in program.graph.graph.nodes if node.op == "placeholder"), program.inputs, strict=True)
    )
    numbers: dict[Node, str] = {}
    inputs: list[str] = []

    def number(node: Node) -> str:
        if node not in numbers:
            name = names[node]
            numbers[node] = "images" if name is None else f"tensor {len(inputs)}"
            if name is not None:
                inputs.append(name)
        return numbers[node]

    steps: list[tuple[str, Any]] = []
    for node in program.graph.graph.nodes:
        if node.op == "placeholder":
            continue
        arguments = repr(torch.fx.node.map_arg((node.args, dict(node.kwargs)), number))
        numbers[node] = f"result {len(steps)}"
        steps.append((str(node.target), arguments))
    return steps, inputs
