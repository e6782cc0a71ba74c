"""How far two architectures are from one another, by their names."""

from __future__ import annotations

from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Final

from detector.training.naming import NetworkName

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONVOLUTIONAL: Final = ("cnn", "flatcnn", "resnet")


class Kinship(StrEnum):
    """What two architectures differ in, the nearest first.

    WIDTHS: widths of layers alone. DEPTHS: how many layers there are. DESIGNS: how layers are made, both of them
    convolutional or neither. FAMILIES: one is convolutional and the other is not, or they have nothing in common.
    """

    WIDTHS = "widths"
    DEPTHS = "depths"
    DESIGNS = "designs"
    FAMILIES = "families"


def kinship(first: str, second: str) -> Kinship:
    """Of two names of `detector.training.architectures`; others have nothing in common."""
    one, other = NetworkName.parse(first), NetworkName.parse(second)
    if one is None or other is None or (one.family in _CONVOLUTIONAL) != (other.family in _CONVOLUTIONAL):
        return Kinship.FAMILIES
    if (one.family, one.norm) != (other.family, other.norm):
        return Kinship.DESIGNS
    alike = (one.depth, len(one.widths)) == (other.depth, len(other.widths))
    return Kinship.WIDTHS if alike else Kinship.DEPTHS


def pairs(architectures: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs, the nearest kin first."""
    order = list(Kinship)
    return sorted(combinations(architectures, 2), key=lambda pair: order.index(kinship(*pair)))
