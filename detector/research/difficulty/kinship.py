"""How far two architectures are from one another, by their names."""

from __future__ import annotations

import re
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONVOLUTIONAL: Final = ("cnn", "flatcnn", "resnet")
_NAME: Final = re.compile(r"([a-z]+)(\d*)((?:-\d+)+)(-[a-z]+)?")


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
    one, other = _NAME.fullmatch(first), _NAME.fullmatch(second)
    if one is None or other is None or (one[1] in _CONVOLUTIONAL) != (other[1] in _CONVOLUTIONAL):
        return Kinship.FAMILIES
    if (one[1], one[4]) != (other[1], other[4]):
        return Kinship.DESIGNS
    alike = (one[2], one[3].count("-")) == (other[2], other[3].count("-"))
    return Kinship.WIDTHS if alike else Kinship.DEPTHS


def pairs(architectures: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs, the nearest kin first."""
    order = list(Kinship)
    return sorted(combinations(architectures, 2), key=lambda pair: order.index(kinship(*pair)))
