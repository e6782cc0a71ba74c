"""The layers of a torch module or program, found and read in the graph that `torch.export` makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import torch

from detector.classifiers.base import PixelType
from detector.classifiers.bottlenecks import Operation, stretches
from detector.classifiers.outputs import as_rows, as_spec_images, filled, probe_images, to_logits
from detector.classifiers.program import Program
from detector.errors import AnalysisError
from detector.research.representation.layered import Said
from detector.research.representation.layers import Learnt, choose_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from detector.classifiers.base import Float32Array
    from detector.classifiers.program import State
    from detector.classifiers.torch import TorchClassifier
    from detector.research.representation.layers import Layer
    from detector.shards.stages import Arrays

EXAMPLES: Final = 3
"""Images that a network is traced with; no size of its own is likely to be as many."""
_BATCH = 250
_MULTIPLYING = frozenset(
    {"linear", "bilinear", "conv1d", "conv2d", "conv3d", "convolution", "conv_transpose2d"}
    | {"mm", "addmm", "bmm", "baddbmm", "matmul", "einsum"}
)


@dataclass(frozen=True, eq=False)
class TorchLayers:
    """A torch classifier and its layers.

    Args:
        classifier: Whose images and answers they are.
        program: Its module, taken apart.
        state: Its parameters and buffers, or those of another network of the same graph.
        layers: Its hidden layers, by rising depth.
    """

    classifier: TorchClassifier
    program: Program
    state: State
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, classifier: TorchClassifier) -> TorchLayers:
        """Find the layers of a classifier.

        Raises:
            AnalysisError: Its module can't be traced, or nothing lies between its images and its answers.
        """
        example = _encoded(classifier, probe_images(classifier.spec, classifier.fixed_batch or EXAMPLES))
        program = Program.of(classifier.module, example, name=classifier.description)
        layers = _layers(program, example)
        if not layers:
            raise AnalysisError(f"{classifier.description}: no hidden layer that everything passes through")
        return cls(classifier, program, program.state, layers)

    @property
    def name(self) -> str:
        """As for `Layered`."""
        return self.classifier.description

    @property
    def classes(self) -> int:
        """As for `Layered`."""
        return len(self.classifier.labels)

    @property
    def most(self) -> int:
        """As for `Layered`."""
        return self.classifier.fixed_batch or _BATCH

    def with_weights(self, weights: Arrays, *index: int) -> TorchLayers:
        """The same network with other parameters and buffers.

        Args:
            weights: By name; further axes before theirs count networks.
            index: Which of those.
        """
        return replace(self, state={name: torch.tensor(weights[name][index]) for name in self.program.state})

    def say(self, images: Float32Array, layers: Sequence[Layer]) -> Said:
        """As for `Layered`."""
        batch = _encoded(self.classifier, as_spec_images(images, self.classifier.spec))
        result, wanted = _result(self.program), {layer.tensor for layer in layers}
        with torch.no_grad():
            found = self.program.activations(batch, wanted | {result}, self.state)
        rows = as_rows(found[result].cpu().numpy(), len(batch), self.name)[: len(images)]
        hidden = {name: found[name][: len(images)].cpu().numpy() for name in wanted}
        return Said(hidden, to_logits(rows, self.classifier.output_kind))


def _encoded(classifier: TorchClassifier, images: Float32Array) -> Tensor:
    batch = torch.from_numpy(classifier.spec.encode(filled(images, classifier.fixed_batch or 1)))
    return (batch.float() if classifier.spec.dtype is PixelType.FLOAT16 else batch).to(classifier.device)


def _layers(program: Program, example: Tensor) -> tuple[Layer, ...]:
    nodes = [node for node in program.graph.graph.nodes if node.op == "call_function" and _holds_values(node)]
    operations = [Operation(tuple(each.name for each in node.all_input_nodes), (node.name,)) for node in nodes]
    places = [node for node in program.graph.graph.nodes if node.op == "placeholder"]
    images = next(node.name for node, name in zip(places, program.inputs, strict=True) if name is None)
    learnt = {
        node.name
        for node, name in zip(places, program.inputs, strict=True)
        if name is not None
        and name in program.state
        and name not in program.buffers
        and program.state[name].numel() > 1
    }
    reads = [
        Learnt.of(len(learnt.intersection(one.inputs)), multiplies=_multiplies(node))
        for node, one in zip(nodes, operations, strict=True)
    ]
    found = list(stretches(operations, images, [_result(program)]))
    with torch.no_grad():
        values = program.activations(example, {stretch.end for stretch in found})
    shapes = {name: tuple(value.shape[1:]) for name, value in values.items() if value.shape[:1] == example.shape[:1]}
    return choose_layers(found, reads, shapes)


def _holds_values(node: torch.fx.Node) -> bool:
    """Whether it makes tensors; others ask for sizes."""
    made: Any = node.meta.get("val")
    return isinstance(made, torch.Tensor | tuple | list)


def _multiplies(node: torch.fx.Node) -> bool:
    _, _, name = str(node.target).partition(".")  # aten.linear.default
    return name.partition(".")[0] in _MULTIPLYING


def _result(program: Program) -> str:
    """The node of what is put out, be it alone or the first of several."""
    given: Any = next(node for node in program.graph.graph.nodes if node.op == "output").args[0]
    while not isinstance(given, torch.fx.Node):
        given = next(iter(given.values() if isinstance(given, dict) else given))
    return str(given.name)
