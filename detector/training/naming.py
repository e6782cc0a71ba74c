"""What networks are called: a family with its depth, widths, and a normalisation, as in ``resnet20-16-layernorm``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(r"([a-z]+)(\d*)((?:-\d+)+)(?:-([a-z]+))?")


@dataclass(frozen=True)
class NetworkName:
    """A name taken apart; whether there is such a network, `detector.training.architectures` knows.

    Args:
        family: Of networks, a word.
        depth: As the family counts it; None where the name holds none.
        widths: At least one.
        norm: The word for the normalisation; None for the family's usual one.
    """

    family: str
    depth: int | None
    widths: tuple[int, ...]
    norm: str | None = None

    @classmethod
    def parse(cls, name: str) -> NetworkName | None:
        """Take a name apart; None where it is made otherwise."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        widths = tuple(map(int, match[3].split("-")[1:]))
        return cls(match[1], int(match[2]) if match[2] else None, widths, match[4])

    def __str__(self) -> str:
        words = (f"{self.family}{'' if self.depth is None else self.depth}", *map(str, self.widths))
        return "-".join([*words, *([self.norm] if self.norm else [])])
