"""A network as a path: what the same images are at each depth, as points of one space, and where they should end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError
from detector.research.representation.capture import capture
from detector.research.representation.kinds import Maps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.research.representation.layered import Layered
    from detector.research.representation.spaces.base import Array, LengthSpace

TARGET = "target"
_FEWEST = 2


@dataclass(frozen=True, eq=False)
class RepresentationPath:
    """Points of one space, in order.

    Args:
        names: Of the points, no two alike.
        points: What the images are at each depth; all of the same images.
        target: What they should become: their classes.

    Raises:
        AnalysisError: There are fewer than two points, or not a name for each, or they are not of the same images.
    """

    names: tuple[str, ...]
    points: tuple[Array, ...]
    target: Array

    def __post_init__(self) -> None:
        if len(self.points) < _FEWEST or len(self.names) != len(self.points) or len(set(self.names)) < len(self.names):
            raise AnalysisError(
                f"path: two points or more, each with a name of its own, not {len(self.points)} points and "
                f"{', '.join(self.names) or 'no names'}"
            )
        for name, point in zip(self.names, self.points, strict=True):
            if point.shape != self.target.shape:
                raise AnalysisError(
                    f"path: {name} is a point of shape {point.shape}, the target of {self.target.shape}: they are not "
                    "of the same images"
                )

    def __len__(self) -> int:
        """How many points."""
        return len(self.points)

    @classmethod
    def of(
        cls,
        network: Layered,
        images: Float32Array,
        target: Array,
        space: LengthSpace,
        *,
        maps: Maps = Maps.FLAT,
    ) -> RepresentationPath:
        """The path of some images through a network.

        Args:
            network: Which.
            images: float32 (N, channels, height, width), canonical.
            target: As of `target_point`, of the same images in the same space.
            space: Where.
            maps: How maps and tokens become units.

        Raises:
            AnalysisError: A layer is no point of the space, too large, or no number; it says which.
            ClassifierError: The network fails.
        """
        names, points = [], []
        for name, activations in capture(network, images, maps=maps):
            try:
                points.append(space.point(activations))
            except AnalysisError as error:
                raise AnalysisError(f"{network.name}, layer {name}: {error}") from error
            names.append(name)
        return cls(tuple(names), tuple(points), target)


def target_point(labels: NDArray[np.int64], classes: int, space: LengthSpace) -> Array:
    """What images should become: one-hot classes, as a point.

    Args:
        labels: int64 (N,), in 0..classes - 1.
        classes: How many there are.
        space: Where.

    Raises:
        AnalysisError: All are of one class, or there are too few or too many.
    """
    try:
        return space.point(np.eye(classes)[labels])
    except AnalysisError as error:
        raise AnalysisError(f"target: {error}") from error
