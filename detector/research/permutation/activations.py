"""Activation matching: pairing units by what they answer to the same images (Sharma et al.; git re-basin, Sec. 3.1).

Every group is assigned once, by itself. Batches are streamed: what is kept is a matrix of units by units.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import torch

from detector.errors import AnalysisError
from detector.research.permutation.kernels import Kernel, Likeness
from detector.research.permutation.matching import assigned

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.program import Program, State
    from detector.research.permutation.spec import PermutationSpec, Place


class Features(StrEnum):
    """Which of the operations that show a group's units are looked at: after a layer, say, or after its ReLU."""

    FIRST = "first"
    LAST = "last"
    ALL = "all"


def match_activations(
    program: Program,
    spec: PermutationSpec,
    reference: State,
    moved: State,
    batches: Iterable[Tensor],
    *,
    kernel: Kernel = Kernel.CORRELATION,
    features: Features = Features.LAST,
) -> dict[str, NDArray[np.int64]]:
    """How one network's units are to be permuted to answer like another's.

    Args:
        program: Their architecture.
        spec: Its symmetries.
        reference: The network to come close to.
        moved: The network whose units are permuted.
        batches: float32 images, as the network takes them; those of one batch are held in memory with all activations.
        kernel: How alike two units are.
        features: Which activations are looked at.

    Raises:
        AnalysisError: A group's units show in no activation along one axis, or answer so much that it overflows; or
            there is no batch; or a network does not fit `spec`. It says which.
    """
    spec.check(reference, name="reference")
    spec.check(moved, name="moved")
    chosen = {group.name: _chosen(group.features, features) for group in spec.groups}
    for name, places in chosen.items():
        if not places:
            raise AnalysisError(f"activations: the units of {name} show in none; match this network by its weights")
    likenesses = {group.name: Likeness(group.size, kernel) for group in spec.groups}
    watched = {place.tensor for places in chosen.values() for place in places}
    seen = False
    with torch.no_grad():
        for images in batches:
            seen = True
            one, other = (program.activations(images, watched, state) for state in (reference, moved))
            for name, places in chosen.items():
                for place in places:
                    likenesses[name].add(place.rows(one[place.tensor]), place.rows(other[place.tensor]))
    if not seen:
        raise AnalysisError("activations: there are no images to compare them on")
    return {name: assigned(likeness.gram, name) for name, likeness in likenesses.items()}


def _chosen(places: tuple[Place, ...], features: Features) -> tuple[Place, ...]:
    match features:
        case Features.FIRST:
            return places[:1]
        case Features.LAST:
            return places[-1:]
        case Features.ALL:
            return places
