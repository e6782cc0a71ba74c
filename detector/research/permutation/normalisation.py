"""Batch-norm statistics of a network whose weights were mixed or merged, measured anew (as REPAIR does).

A mixture of two networks' weights does not have the mixture of their statistics: its features vary less, layer by
layer. So its statistics are measured on images, each layer's with those before it already normalised by what the batch
at hand says.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import torch

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from detector.classifiers.program import Program, State

_MEAN, _VARIANCE, _TRAINING = 3, 4, 5  # arguments of aten.batch_norm


def has_statistics(program: Program) -> bool:
    """Whether the network has batch norms, which keep statistics."""
    return bool(_norms(program))


def restated(program: Program, state: State, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """The same network with its batch-norm statistics measured on images.

    Args:
        program: Its architecture.
        state: Its parameters and buffers; unchanged.
        batches: float32 images as the network takes them, each of two images at least.

    Returns:
        A copy with the mean over batches of each batch's mean and unbiased variance in the place of the old ones.

    Raises:
        AnalysisError: There is no batch.
    """
    norms = _norms(program)
    means: dict[str, list[Tensor]] = defaultdict(list)

    def step(node: torch.fx.Node, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if node.name not in norms:
            return target(*args, **kwargs)
        features = args[0].movedim(1, 0).flatten(1)
        for name, value in zip(norms[node.name], (features.mean(1), features.var(1)), strict=True):
            means[name].append(value)
        given = list(args)
        given[_MEAN], given[_VARIANCE], given[_TRAINING] = None, None, True
        return target(*given, **kwargs)

    with torch.no_grad():
        for images in batches:
            program.run(images, state, step)
    if norms and not means:
        raise AnalysisError("normalisation: there are no images to measure batch norms on")
    return {**state, **{name: torch.stack(values).mean(0) for name, values in means.items()}}


def _norms(program: Program) -> dict[str, tuple[str, str]]:
    """For every batch norm in the graph the names of its mean and its variance."""
    inputs = [node for node in program.graph.graph.nodes if node.op == "placeholder"]
    names = dict(zip(inputs, program.inputs, strict=True))
    return {
        node.name: (str(names[node.args[_MEAN]]), str(names[node.args[_VARIANCE]]))
        for node in program.graph.graph.nodes
        if node.target is torch.ops.aten.batch_norm.default
    }
