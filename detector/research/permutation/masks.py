"""Masks of pruned networks under permutations: a weight that is left moves with the units it joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.errors import AnalysisError
from detector.research.permutation.spec import permuted

if TYPE_CHECKING:
    from detector.research.permutation.spec import Permutations, PermutationSpec
    from detector.training.pruning import Masks


def permuted_masks(spec: PermutationSpec, masks: Masks, permutations: Permutations) -> Masks:
    """The masks of a network whose units are put in another order, or of another network that they are carried to.

    Where ``permuted(spec, b, permutations)`` is like a, masks of b become masks for a; masks of a become masks for b by
    the inverse.

    Args:
        spec: Of the architecture.
        masks: What is left of each tensor, bool of its shape; unchanged.
        permutations: Of its groups.

    Raises:
        AnalysisError: A mask is of no tensor of the architecture, or of another shape; or a permutation is none.
    """
    for name, mask in masks.items():
        if mask.shape != spec.shapes.get(name):
            raise AnalysisError(f"masks: {name} has the shape {mask.shape}, not {spec.shapes.get(name)}")
    state = {
        name: torch.from_numpy(masks[name]) if name in masks else torch.ones(shape, dtype=torch.bool)
        for name, shape in spec.shapes.items()
    }
    moved = permuted(spec, state, permutations)
    return {name: moved[name].numpy() for name in masks}


def shuffled_masks(masks: Masks, seed: int) -> Masks:
    """Masks that leave as much of each tensor, anywhere in it."""
    rng = np.random.default_rng(seed)
    return {name: rng.permutation(mask.ravel()).reshape(mask.shape) for name, mask in masks.items()}
