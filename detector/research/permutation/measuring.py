"""What studies share that mix networks of their own: what mixtures lose, on images of training and on others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.research.permutation.barriers import barrier, line
from detector.research.permutation.networks import Architecture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from detector.classifiers.program import State
    from detector.research.permutation.barriers import Barrier
    from detector.shards.stages import Arrays
    from detector.training.data import LabelledImages
    from detector.training.recipe import TrainingRecipe


@dataclass(frozen=True, eq=False)
class Setting:
    """Networks of one architecture, and the images that lines between them are measured on.

    Args:
        recipe: Of any of them.
        train: Of the images that they are trained on; batch norms of mixtures are measured anew on them.
        held_out: Others.
        points: Of the grid on a line, both ends included.
    """

    recipe: TrainingRecipe
    train: LabelledImages
    held_out: LabelledImages
    points: int

    @cached_property
    def architecture(self) -> Architecture:
        """Their program and its symmetries, found when they are first asked for: each process finds its own."""
        return Architecture.of(self.recipe)

    def to_json(self) -> dict[str, Any]:
        """What measurements depend on, JSON values."""
        sets = {"train": self.train.digest, "held_out": self.held_out.digest}
        return {"recipe": self.recipe.to_json(), **sets, "points": self.points}

    def barrier(
        self,
        states: Sequence[State],
        shares: NDArray[np.float64],
        data: LabelledImages,
        advance: Callable[[int], None] | None = None,
    ) -> Barrier:
        """What mixtures of networks lose on some images; see `detector.research.permutation.barriers.barrier`."""
        program = self.architecture.program
        return barrier(program, states, shares, data, statistics=self.train, on_progress=advance)

    def on_sets(
        self, states: Sequence[State], shares: NDArray[np.float64], advance: Callable[[int], None] | None = None
    ) -> list[Barrier]:
        """`barrier` on training and on held-out images."""
        return [self.barrier(states, shares, data, advance) for data in (self.train, self.held_out)]

    def curves(self, one: State, other: State) -> Arrays:
        """The line between two networks.

        Returns:
            float64 `curves`, (2, 2, points): on training and on held-out images loss (nats) and error (0..1); and
            `barriers`, (2, 2): the most by which each rises above its share of the ends'.
        """
        found = self.on_sets([one, other], line(self.points))
        return {
            "curves": np.array([[each.losses, each.errors] for each in found]),
            "barriers": np.array([[each.loss, each.error] for each in found]),
        }
