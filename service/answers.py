"""What came of the images of a request."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from detector import Detection
    from detector.errors import IsthmusError


@dataclass(frozen=True)
class Answers:
    """The answers to the good images of a request, and what is wrong with the others.

    Args:
        detections: In order, in any number of parts.
        unread: By index in the request.
    """

    detections: tuple[Detection, ...]
    unread: Mapping[int, IsthmusError]

    def __len__(self) -> int:
        return len(self.unread) + sum(len(part) for part in self.detections)

    def rows(self) -> Iterator[tuple[int, Detection, int]]:
        """Of each good image: its index in the request, the part that has its answer, and its row there."""
        indices = (index for index in count() if index not in self.unread)
        for part in self.detections:
            for row in range(len(part)):
                yield next(indices), part, row
