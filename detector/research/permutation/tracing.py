"""Finding a network's symmetries by following its units through its traced graph, and proving them by running it."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from detector.errors import AnalysisError
from detector.research.permutation.labels import Labelled, fixed, freeze
from detector.research.permutation.rules import apply_rule
from detector.research.permutation.spec import PermutationSpec, permuted
from detector.research.permutation.units import Units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn
    from torch.export import ExportedProgram

    from detector.research.permutation.spec import State

_TOLERANCE = 1e-3  # of the spread of the outputs: float32 sums in another order
_PROOFS = 2  # random permutations of everything


def derive_spec(module: nn.Module, example: Tensor, *, name: str = "network") -> PermutationSpec:
    """Find which units of a network may change places.

    Args:
        module: In evaluation mode; its forward takes one batch of images.
        example: float32 (2 or more, ...), images it takes; two at least, which differ.
        name: What to call it in errors.

    Returns:
        All symmetries found; each was proved by permuting a random half of the network's units.

    Raises:
        AnalysisError: It can't be traced; or a symmetry that was found changes what the network computes, which names
            the layer; or it has none.
    """
    program = _exported(module, example, name)
    units = Units()
    outputs = _Tracer(program, units).run(example)
    freeze(units, *pytree.tree_leaves(outputs, is_leaf=_is_labelled))
    first = _first_names(program)
    state = {key: value.detach() for key, value in program.state_dict.items() if first[key] == key}
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    buffers = frozenset(program.graph_signature.inputs_to_buffers.values())
    spec = PermutationSpec(units.groups(), shapes, buffers & shapes.keys())
    if not spec.groups:
        raise AnalysisError(f"{name}: none of its units can be permuted; are there hidden layers?")
    _prove(program.module(), spec, state, example, name)
    return spec


def run_with(module: nn.Module, state: State, images: Tensor) -> Tensor:
    """What a network gives for images with other parameters and buffers; the network itself stays as it is.

    Args:
        module: The network.
        state: Tensors by name; one that several layers share is given once.
        images: A batch.
    """
    # Ties are told apart here: for a module that stands in two places torch would not put the old tensors back.
    given = {name: state[first] for name, first in _owners(module).items() if first in state}
    return torch.func.functional_call(module, given, (images,), tie_weights=False)


def _owners(module: nn.Module) -> dict[str, str]:
    """Every tensor of every layer, a layer that stands in several places once, and the first name of the tensor."""
    first: dict[int, str] = {}
    owners = {}
    for prefix, layer in module.named_modules():
        for name, value in (*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)):
            full = f"{prefix}.{name}" if prefix else name
            owners[full] = first.setdefault(id(value), full)
    return owners


def _exported(module: nn.Module, example: Tensor, name: str) -> ExportedProgram:
    try:
        return torch.export.export(module, (example,))
    # Whatever a user's module may raise while it is traced.
    except Exception as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise AnalysisError(f"{name}: can't be traced by torch.export: {reason}") from error


class _Tracer(torch.fx.Interpreter):
    """Runs a program on example images, and follows labels beside them."""

    def __init__(self, program: ExportedProgram, units: Units) -> None:
        super().__init__(program.graph_module)
        self._inputs = [str(node.target) for node in program.graph.nodes if node.op == "placeholder"]
        self._units = units
        signature = program.graph_signature
        first = _first_names(program)
        self._names = {
            graph: first[name]
            for inputs in (signature.inputs_to_parameters, signature.inputs_to_buffers)
            for graph, name in inputs.items()
            if name in first
        }
        self._constants = signature.inputs_to_lifted_tensor_constants | signature.inputs_to_buffers
        self._tensors = {**program.constants, **program.state_dict}

    def run(self, *images: Any, **options: Any) -> Any:
        given = iter(images)
        return super().run(*(self._input(graph, given) for graph in self._inputs), **options)

    def _input(self, graph: str, given: Iterator[Tensor]) -> Labelled:
        if graph in self._names:
            return fixed(self._tensors[self._names[graph]].detach(), self._names[graph])
        if graph in self._constants:
            return fixed(self._tensors[self._constants[graph]].detach())
        return fixed(next(given))

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        plain_args, plain_kwargs = (_plain(each) for each in (args, kwargs))
        with torch.no_grad():
            values = target(*plain_args, **plain_kwargs)
        if target is operator.getitem:
            return target(*args)
        schema = getattr(target, "_schema", None)
        if schema is None:  # arithmetic on sizes
            return values
        name = schema.name.rpartition("::")[2]
        return apply_rule(self._units, name, target, _in_order(schema, args, kwargs), values)


def _first_names(program: ExportedProgram) -> dict[str, str]:
    """For every parameter and buffer the first name of its tensor: layers may share one."""
    first: dict[tuple[int, tuple[int, ...]], str] = {}
    return {
        name: first.setdefault((value.data_ptr(), tuple(value.shape)), name) if value.numel() else name
        for name, value in program.state_dict.items()
    }


def _plain(tree: Any) -> Any:
    """The tensors themselves."""
    return pytree.tree_map(lambda leaf: leaf.value if isinstance(leaf, Labelled) else leaf, tree, is_leaf=_is_labelled)


def _is_labelled(leaf: Any) -> bool:
    return isinstance(leaf, Labelled)


def _in_order(schema: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """All arguments of an operation, in the order of its schema; defaults where they are left out."""
    positional = [argument for argument in schema.arguments if not argument.kwarg_only]
    rest = [kwargs.get(argument.name, argument.default_value) for argument in positional[len(args) :]]
    return (*args, *rest)


def _prove(module: nn.Module, spec: PermutationSpec, state: State, example: Tensor, name: str) -> None:
    """Permute at random and compare; where it fails, find the group that is to blame."""
    with torch.no_grad():
        wanted = run_with(module, state, example)
        limit = _TOLERANCE * max(float(wanted.std()), 1e-6)

        def differs(groups: set[str], seed: int) -> bool:
            rng = np.random.default_rng(seed)
            drawn = {group.name: rng.permutation(group.size) for group in spec.groups}
            chosen = {key: value for key, value in drawn.items() if key in groups}
            found = run_with(module, permuted(spec, state, chosen), example)
            return not bool((found - wanted).abs().max() <= limit)

        everything = {group.name for group in spec.groups}
        if not any(differs(everything, seed) for seed in range(_PROOFS)):
            return
        guilty = [group for group in sorted(everything) if differs({group}, 0)]
    raise AnalysisError(
        f"{name}: permuting the units of {', '.join(guilty or sorted(everything))} changes what it computes; how they "
        "are used is not understood"
    )
