"""Two programs of one architecture, whatever their layers are called: told by what they compute."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from detector.classifiers.program import Program
from detector.classifiers.torch import class_tensor, encode_tensor, logit_rows
from detector.errors import AnalysisError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node

    from detector.classifiers.program import State
    from detector.classifiers.torch import TorchClassifier


class _Canonical(nn.Module):
    """A classifier's module as one of canonical images, whose outputs are logits."""

    def __init__(self, classifier: TorchClassifier) -> None:
        super().__init__()
        self.module = classifier.module
        self._spec = classifier.spec
        self._kind = classifier.output_kind
        self.training = False

    def forward(self, images: Tensor) -> Tensor:
        return logit_rows(class_tensor(self.module(encode_tensor(self._spec, images))).flatten(1), self._kind)


def program_of(classifier: TorchClassifier, example: Tensor, *, name: str) -> Program:
    """A classifier taken apart: from canonical images to logits, with tensors named as its module names them.

    Args:
        classifier: With gradients.
        example: float32 (2 or more, channels, height, width), canonical.
        name: What to call it in errors.

    Raises:
        AnalysisError: It can't be traced.
    """
    program = Program.of(_Canonical(classifier), example, name=name)
    own = {key: key.removeprefix(_INSIDE) for key in program.state}
    return replace(
        program,
        inputs=tuple(None if key is None else own.get(key, key) for key in program.inputs),
        state={own[key]: value for key, value in program.state.items()},
        buffers=frozenset(own[key] for key in program.buffers),
    )


def state_under(reference: Program, other: Program, example: Tensor) -> State:
    """The tensors of one network under the names that another of the same architecture has for them.

    They are paired by name where the names are the same, else in the order in which they are first used; axes of length
    1 make no difference. That they are paired right is proved: the reference with the other's tensors has to answer
    like the other.

    Args:
        reference: Whose names are wanted.
        other: Whose tensors are wanted.
        example: As for `program_of`.

    Raises:
        AnalysisError: The architectures differ, or the other network holds NaN; the message says where it shows.
    """
    ours, theirs = _used(reference), _used(other)
    names = list(zip(ours, ours if set(ours) == set(theirs) else theirs, strict=False))
    if len(ours) != len(theirs):
        odd = min(set(ours) ^ set(theirs))
        raise AnalysisError(
            f"{_DIFFERENT}: one uses {len(ours)} tensors, the other {len(theirs)}; only one of them has {odd}"
        )
    for one, two in names:
        wanted, found = tuple(reference.state[one].shape), tuple(other.state[two].shape)
        if [size for size in found if size > 1] != [size for size in wanted if size > 1]:
            raise AnalysisError(f"{_DIFFERENT}: {one} has the shape {wanted}, and the other's {two} {found}")
        if not bool(other.state[two].isfinite().all()):
            raise AnalysisError(f"the other's {two} holds what is no finite number")
    # What no operation reads, such as a count of batches, is the reference's.
    state = {**reference.state, **{one: other.state[two].reshape(reference.state[one].shape) for one, two in names}}
    with torch.no_grad():
        answers, wanted_answers = reference.logits(example, state), other.logits(example)
    limit = _TOLERANCE * max(float(wanted_answers.std()), 1e-6)
    if answers.shape != wanted_answers.shape or not bool((answers - wanted_answers).abs().max() <= limit):
        raise AnalysisError(f"{_DIFFERENT}: one with the other's tensors, which fit, answers otherwise")
    return state


_DIFFERENT: Final = "they are of different architectures"
_INSIDE: Final = "module."
_TOLERANCE: Final = 1e-3  # of the spread of the outputs: float32 sums in another order


def _used(program: Program) -> list[str]:
    """The network's own tensors in the order in which operations first read them."""
    places = [node for node in program.graph.graph.nodes if node.op == "placeholder"]
    named = dict(zip(places, program.inputs, strict=True))
    read = (source for node in program.graph.graph.nodes for source in _arguments(node) if source in named)
    names = (named[source] for source in read)
    return list(dict.fromkeys(name for name in names if name is not None and name in program.state))


def _arguments(node: Node) -> list[Node]:
    """The nodes that one reads, in the order in which it is given them."""
    found: list[Node] = []
    torch.fx.node.map_arg((node.args, dict(node.kwargs)), found.append)
    return found
