"""A network as the program `torch.export` makes of it, run with any weights: every step of it can be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from torch import Tensor, nn
    from torch.export import ExportedProgram

    State = Mapping[str, Tensor]
    """Parameters and buffers of a network, by name."""
    Step = Callable[[torch.fx.Node, Any, tuple[Any, ...], dict[str, Any]], Any]


@dataclass(frozen=True, eq=False)
class Program:
    """A network taken apart into its operations.

    Args:
        graph: Of ATen operations.
        inputs: For each input of the graph, in order: the name of the tensor it is, or None where it is the images.
        state: The network's own parameters and buffers; a tensor that layers share stands under its first name.
        constants: Tensors that are part of the program, by the names in `inputs`.
        buffers: Names in `state` of those that no gradient changes.
    """

    graph: torch.fx.GraphModule
    inputs: tuple[str | None, ...]
    state: Mapping[str, Tensor]
    constants: Mapping[str, Tensor]
    buffers: frozenset[str]

    @classmethod
    def of(cls, module: nn.Module, example: Tensor, *, name: str) -> Program:
        """Take a network apart.

        Args:
            module: In evaluation mode; its forward takes one batch of images.
            example: float32 (2 or more, ...), images it takes.
            name: What to call it in errors.

        Raises:
            AnalysisError: It can't be traced.
        """
        try:
            exported = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
        # Whatever a user's module may raise while it is traced.
        except Exception as error:
            reason = (str(error).splitlines() or [repr(error)])[0]
            raise AnalysisError(f"{name}: can't be traced by torch.export: {reason}") from error
        return cls._from(exported)

    @classmethod
    def _from(cls, exported: ExportedProgram) -> Program:
        signature = exported.graph_signature
        first = _first_names(exported.state_dict)
        named = {**signature.inputs_to_lifted_tensor_constants, **signature.inputs_to_buffers}
        named |= signature.inputs_to_parameters
        places = [str(node.target) for node in exported.graph.nodes if node.op == "placeholder"]
        inputs = tuple(first.get(named[place], named[place]) if place in named else None for place in places)
        return cls(
            exported.graph_module,
            inputs,
            {name: value.detach() for name, value in exported.state_dict.items() if first[name] == name},
            {name: value for name, value in exported.constants.items() if isinstance(value, torch.Tensor)},
            frozenset(first[name] for name in signature.inputs_to_buffers.values() if name in first),
        )

    def run(self, images: Any, state: Mapping[str, Any] | None = None, step: Step | None = None) -> Any:
        """Run it.

        Args:
            images: A batch.
            state: Other parameters and buffers than its own.
            step: Does each operation, given the node, the operation, its arguments; None just does it.

        Returns:
            What the network puts out.
        """
        tensors = {**self.constants, **(self.state if state is None else state)}
        values = [images if name is None else tensors[name] for name in self.inputs]
        return _Run(self.graph, step).run(*values)

    def logits(self, images: Tensor, state: State | None = None) -> Tensor:
        """What it puts out, be it alone or the first of several."""
        outputs = self.run(images, state)
        while not isinstance(outputs, torch.Tensor):
            outputs = next(iter(outputs.values() if isinstance(outputs, dict) else outputs))
        return outputs

    def activations(self, images: Tensor, operations: Container[str], state: State | None = None) -> dict[str, Tensor]:
        """What some operations give for a batch.

        Args:
            images: A batch.
            operations: Their names in `graph`.
            state: As for `run`.

        Returns:
            By name, all that were met.
        """
        found: dict[str, Tensor] = {}

        def step(node: torch.fx.Node, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            value = target(*args, **kwargs)
            if node.name in operations:
                found[node.name] = value.clone()  # what follows may work in place
            return value

        self.run(images, state, step)
        return found


class _Run(torch.fx.Interpreter):
    """Runs a graph node by node."""

    def __init__(self, graph: torch.fx.GraphModule, step: Step | None) -> None:
        super().__init__(graph)
        self._step = step
        self._node: torch.fx.Node | None = None

    def run_node(self, n: torch.fx.Node) -> Any:
        self._node = n
        return super().run_node(n)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._step is None or self._node is None:
            return target(*args, **kwargs)
        return self._step(self._node, target, args, kwargs)


def _first_names(state: Mapping[str, Tensor]) -> dict[str, str]:
    """For every parameter and buffer the first name of its tensor: layers may share one."""
    first: dict[tuple[int, tuple[int, ...]], str] = {}
    return {
        name: first.setdefault((value.data_ptr(), tuple(value.shape)), name) if value.numel() else name
        for name, value in state.items()
    }
