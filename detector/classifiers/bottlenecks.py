"""Where everything that is known of an image passes through one tensor, found from the graph alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True)
class Operation:
    """One operation of a graph.

    Args:
        inputs: Names of the tensors whose values it reads.
        outputs: Names of those it makes.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Stretch:
    """What happens between two bottlenecks.

    Args:
        end: The tensor it ends with: all that is known of an image at that depth.
        operations: Which operations make it from the bottleneck before, by their places, rising.
    """

    end: str
    operations: tuple[int, ...]


def stretches(operations: Sequence[Operation], images: str, results: Iterable[str]) -> Iterator[Stretch]:
    """All stretches of a graph, in its order.

    Args:
        operations: In an order in which they can be done; without those that only ask for shapes.
        images: Name of the tensor that holds them.
        results: Names of tensors that are put out.

    Yields:
        One for each bottleneck: a tensor after which nothing else that depends on the images is still needed.
    """
    live, since = {images}, list[int]()
    last_use = {name: place for place, one in enumerate(operations) for name in one.inputs}
    last_use |= dict.fromkeys(results, len(operations))
    for place, one in enumerate(operations):
        if not live.intersection(one.inputs):
            continue
        since.append(place)
        live.update(name for name in one.outputs if name in last_use)
        live = {name for name in live if last_use[name] > place}
        if len(live) == 1 and next(iter(live)) in one.outputs:
            yield Stretch(next(iter(live)), tuple(since))
            since = []
