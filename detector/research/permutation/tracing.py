"""Finding a network's symmetries by following its units through its traced graph, and proving them by running it."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from detector.errors import AnalysisError
from detector.research.permutation.labels import Labelled, fixed, freeze
from detector.research.permutation.rules import apply_rule
from detector.research.permutation.spec import PermutationSpec, permuted, random_permutations
from detector.research.permutation.units import Units

if TYPE_CHECKING:
    from torch import Tensor

    from detector.classifiers.program import Program

_TOLERANCE = 1e-3  # of the spread of the outputs: float32 sums in another order
_PROOFS = 2  # random permutations of everything


def derive_spec(program: Program, example: Tensor, *, name: str = "network") -> PermutationSpec:
    """Find which units of a network may change places.

    Args:
        program: The network.
        example: float32 (2 or more, ...), images it takes, which differ.
        name: What to call it in errors.

    Returns:
        All symmetries found; they were proved by permuting the network's units at random.

    Raises:
        AnalysisError: A symmetry that was found changes what the network computes, which names the layer; or it has
            none; or a weight is no finite number.
    """
    for key, value in program.state.items():
        if not bool(value.isfinite().all()):
            raise AnalysisError(f"{name}: {key} holds what is no finite number")
    units = Units()
    labelled = {key: fixed(value, key) for key, value in program.state.items()}
    constants = {key: fixed(value) for key, value in program.constants.items()}
    outputs = program.run(fixed(example), constants | labelled, _Following(units).step)
    freeze(units, *pytree.tree_leaves(outputs, is_leaf=_is_labelled))
    shapes = {key: tuple(value.shape) for key, value in program.state.items()}
    spec = PermutationSpec(units.groups(), shapes, program.buffers)
    if not spec.groups:
        raise AnalysisError(f"{name}: none of its units can be permuted; are there hidden layers?")
    _prove(program, spec, example, name)
    return spec


class _Following:
    """Does every operation on the values, and its rule on the labels beside them."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def step(self, node: torch.fx.Node, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if target is operator.getitem:
            return target(*args)
        plain_args, plain_kwargs = (_plain(each) for each in (args, kwargs))
        with torch.no_grad():
            values = target(*plain_args, **plain_kwargs)
        schema = getattr(target, "_schema", None)
        if schema is None:  # arithmetic on sizes
            return values
        name = schema.name.rpartition("::")[2]
        result = apply_rule(self._units, name, target, _in_order(schema, args, kwargs), values)
        if isinstance(result, Labelled):
            self._show(node.name, result)
        return result

    def _show(self, operation: str, result: Labelled) -> None:
        """Note what shows units along one axis and along no other."""
        for axis in range(1, result.labels.ndim):
            lines = result.labels.movedim(axis, 0).reshape(result.labels.shape[axis], -1)
            if bool((lines == lines[:, :1]).all()) and bool((lines[:, 0] >= 0).any()):
                self._units.show(operation, axis, lines[:, 0].numpy())


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


def _prove(program: Program, spec: PermutationSpec, example: Tensor, name: str) -> None:
    """Permute at random and compare; where it fails, find the group that is to blame."""
    with torch.no_grad():
        wanted = program.logits(example)
        limit = _TOLERANCE * max(float(wanted.std()), 1e-6)

        def differs(groups: set[str], seed: int) -> bool:
            drawn = random_permutations(spec, seed)
            chosen = {key: value for key, value in drawn.items() if key in groups}
            found = program.logits(example, permuted(spec, program.state, chosen))
            return not bool((found - wanted).abs().max() <= limit)

        everything = {group.name for group in spec.groups}
        if not any(differs(everything, seed) for seed in range(_PROOFS)):
            return
        guilty = [group for group in sorted(everything) if differs({group}, 0)]
    raise AnalysisError(
        f"{name}: permuting the units of {', '.join(guilty or sorted(everything))} changes what it computes; how they "
        "are used is not understood"
    )
