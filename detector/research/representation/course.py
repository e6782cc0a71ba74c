"""What the study of training measured: the paths of networks at checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.research.representation.path_geometry import PathGeometry
from detector.research.representation.plain import plain

if TYPE_CHECKING:
    from detector.research.representation.spaces.base import Array
    from detector.shards.stages import Arrays


@dataclass(frozen=True, eq=False)
class Course:
    """Networks of one shape over their training.

    Args:
        what: On what, in words.
        names: Of the points of a path.
        epochs: At which there are checkpoints.
        arrays: As of `geometry_job`, (networks, checkpoints, ...).
        together: The distances of all points of the first network's paths and the target, as of `together_job`.
        curvature: Of the space; None where it varies.
    """

    what: str
    names: tuple[str, ...]
    epochs: tuple[int, ...]
    arrays: Arrays
    together: Array
    curvature: float | None

    @property
    def seeds(self) -> int:
        """How many networks."""
        return len(self.arrays["span"])

    @property
    def lengths(self) -> Array:
        """float64 (networks, checkpoints)."""
        return np.asarray(self.arrays["steps"].sum(-1))

    @property
    def slacks(self) -> Array:
        """float64 (networks, checkpoints)."""
        return np.asarray(self.lengths / self.arrays["span"])

    def geometry(self, network: int, checkpoint: int) -> PathGeometry:
        """Of one path."""
        return PathGeometry.from_arrays(self.arrays, network, checkpoint)

    def figures(self) -> dict[str, Any]:
        """JSON values; each list of lists is (networks, checkpoints, ...)."""
        measured = {name: plain(value) for name, value in self.arrays.items()}
        return {
            "what": self.what,
            "points": list(self.names),
            "epochs": list(self.epochs),
            "length": plain(self.lengths),
            "slack": plain(self.slacks),
            **measured,
        }
