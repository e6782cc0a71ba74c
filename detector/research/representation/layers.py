"""Which layers of a network a path runs through: those that everything passes through, one for each step of the sums.

A layer begins where weights are multiplied by what came before (a matrix or filters). What follows without such weights
- biases, norms, activations, pooling - belongs to it, and the last of that stands for it. Of a residual block, the sum
and the activation behind it stand for the whole; a norm behind the sum begins a layer of its own, and so does taking
the mean over all positions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from detector.classifiers.bottlenecks import Stretch

_MAPS = 4  # axes: images, channels, height, width


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
    open: bool = True


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
        elif layers and (_pooled(before, shape) or (layers[-1].block and (len(reads) > 1 or Learnt.SCALES in reads))):
            layers.append(_Growing(stretch.end, block=False))
        elif layers and shape:
            layers[-1].end = stretch.end
    kept = [layer for layer in layers[:-1] if shapes.get(layer.end)]  # the last is what is put out
    names = _names([layer.block for layer in kept])
    return tuple(Layer(name, layer.end, shapes[layer.end]) for name, layer in zip(names, kept, strict=True))


def _pooled(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether maps became one number a channel."""
    rank = _MAPS - 1  # without the images' axis
    return len(before) == rank and before[1] * before[2] > 1 and after[1:] in {(), (1, 1)}


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
