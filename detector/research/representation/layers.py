"""Which layers of a network a path runs through: those that everything passes through, one for each step of the sums.

A layer begins where weights are multiplied by what came before (a matrix or filters). What follows without such weights
- biases, norms, activations, pooling - belongs to it, and the last of that stands for it. Of a residual block, the sum
and the activation behind it stand for the whole; a norm behind the sum belongs to the layer that reads it, as the norms
within blocks do. What leaves one vector of many positions, such as their mean, is a layer of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from detector.classifiers.bottlenecks import Stretch


class Learnt(StrEnum):
    """What an operation reads that was learnt."""

    NOTHING = "nothing"
    SCALES = "scales"
    """At most a number for each unit: biases, norms."""
    WEIGHTS = "weights"
    """A matrix, or filters."""

    @classmethod
    def of(cls, learnt: int, *, multiplies: bool) -> Learnt:
        """What is read.

        Args:
            learnt: How many learnt tensors are, but for single numbers.
            multiplies: Whether the operation multiplies by a matrix or filters.
        """
        if not learnt:
            return cls.NOTHING
        return cls.WEIGHTS if multiplies else cls.SCALES


@dataclass(frozen=True)
class Layer:
    """One hidden layer.

    Args:
        name: For people: ``stem``, ``block 2``, ``layer 3``, ``penultimate``.
        tensor: What the graph calls it.
        shape: Of its values for one image.
    """

    name: str
    tensor: str
    shape: tuple[int, ...]


@dataclass
class _Growing:
    """A layer whose last tensor is not known yet."""

    end: str
    block: bool
    settled: bool = False


def choose_layers(
    found: Iterable[Stretch], learnt: Sequence[Learnt], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Layer, ...]:
    """The hidden layers that a path runs through, by rising depth; neither the images nor what is put out.

    Args:
        found: All stretches of the graph.
        learnt: What each operation reads that was learnt.
        shapes: Of tensors for one image; bottlenecks without one are left out.
    """
    layers: list[_Growing] = []
    shape: tuple[int, ...] = ()
    for stretch in found:
        reads = [learnt[place] for place in stretch.operations]
        before, shape = shape, shapes.get(stretch.end, ())
        weighted = Learnt.WEIGHTS in reads
        if weighted:
            layers.append(_Growing(stretch.end, block=len(reads) > 1))
        elif layers and _pooled(before, shape):
            layers.append(_Growing(stretch.end, block=False))
        elif layers and layers[-1].block and (len(reads) > 1 or Learnt.SCALES in reads):
            layers[-1].settled = True
        elif layers and shape and not layers[-1].settled and not _flattened(before, shape):
            layers[-1].end = stretch.end
    kept = [layer for layer in layers[:-1] if shapes.get(layer.end)]  # the last is what is put out
    names = _names([layer.block for layer in kept])
    return tuple(Layer(name, layer.end, shapes[layer.end]) for name, layer in zip(names, kept, strict=True))


def _pooled(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether maps or tokens became one vector."""
    single = sum(size > 1 for size in after) <= 1
    return len(before) > 1 and single and 0 < prod(after) < prod(before)


def _flattened(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether maps or tokens only lost their positions, which pooling would want."""
    return len(after) == 1 < len(before) and prod(before[1:]) > 1 and prod(before) == prod(after)


def _names(blocks: Sequence[bool]) -> list[str]:
    places = [place for place, block in enumerate(blocks) if block]
    if not places:
        return [f"layer {place + 1}" for place in range(len(blocks))]
    words = [_word(place, blocks, places) for place in range(len(blocks))]
    counts, seen, names = Counter(words), Counter[str](), []
    for word in words:
        seen[word] += 1
        names.append(word if counts[word] == 1 and word != "block" else f"{word} {seen[word]}")
    return names


def _word(place: int, blocks: Sequence[bool], places: Sequence[int]) -> str:
    if blocks[place]:
        return "block"
    if place < places[0]:
        return "stem"
    return "penultimate" if place == len(blocks) - 1 else "layer"
