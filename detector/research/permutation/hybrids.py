"""Hybrids of two checkpoints of one training: some layers from early, the others from late (Sharma et al.).

Matching hybrids instead of the networks themselves shows which layers fix the permutation, and from when on.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from torch import Tensor

    from detector.classifiers.program import State


class Hybrid(StrEnum):
    """Which layers are early ones: the first up to one, the last from one on, one alone, or all but one."""

    BOTTOM_UP = "bottom-up"
    TOP_DOWN = "top-down"
    PUT_IN = "put in"
    LEAVE_OUT = "leave out"

    def early(self, layer: int, count: int) -> frozenset[int]:
        """The layers, 0..count - 1, that are early ones, for one of them."""
        match self:
            case Hybrid.BOTTOM_UP:
                return frozenset(range(layer + 1))
            case Hybrid.TOP_DOWN:
                return frozenset(range(layer, count))
            case Hybrid.PUT_IN:
                return frozenset({layer})
            case Hybrid.LEAVE_OUT:
                return frozenset(range(count)) - {layer}


def layers(state: State) -> list[list[str]]:
    """The tensors of each layer of a network, in order.

    A layer begins with a tensor of two axes or more; biases, scales and statistics behind it belong to it.
    """
    found: list[list[str]] = []
    for name, value in state.items():
        if value.ndim > 1 and name.endswith("weight"):
            found.append([])
        if found:
            found[-1].append(name)
    return found


def hybrid(early: State, late: State, chosen: Collection[str]) -> dict[str, Tensor]:
    """A network with some tensors of one checkpoint and the others of another."""
    return {name: early[name] if name in chosen else value for name, value in late.items()}


def cuts(count: int, most: int) -> list[int]:
    """Which of `count` layers are looked at: all, or `most` of them, evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()


def tensors(of: Sequence[Sequence[str]], chosen: Collection[int]) -> set[str]:
    """The tensors of some layers."""
    return {name for number in chosen for name in of[number]}
