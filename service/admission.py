"""Who gets a place in the service: never more images than there are places, and no caller takes them all.

A caller may hold a multiple of the places that are still free (dynamic thresholds: Choudhury and Hahne, IEEE/ACM
Transactions on Networking 6(2), 1998). So one alone gets most of them, several get equal parts, and some are always
left for one who comes new, without anybody being told apart beforehand.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from detector.errors import OverloadedError
from service.callers import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.callers import Caller

_OF_THE_FREE: Final = 8
"""How many times as many places as are left free a caller may hold: alone, eight ninths of all."""
_BULK_SHARE: Final = 0.5
"""Of all places, those that bulk work may hold."""
_RETRY_SECONDS: Final = (0.05, 30.0)
"""The least and the most that a caller is asked to wait."""
_UNKNOWN_SECONDS: Final = 1.0


class Admission:
    """Counts the images in the service.

    Args:
        places: Images there may be at the same time.
        seconds_for: How long so many images take; 0 where nobody knows yet.
        observer: Is told how many there are, after every change.
        max_wait: Seconds that urgent images may have to wait for those ahead of them.
    """

    def __init__(
        self,
        places: int,
        *,
        seconds_for: Callable[[int], float],
        observer: Callable[[int], None],
        max_wait: float = math.inf,
    ) -> None:
        self._places, self._seconds_for, self._observer, self._max_wait = places, seconds_for, observer, max_wait
        self._held: Counter[str] = Counter()
        self._bulk = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self.admitted = 0

    @contextmanager
    def places(self, images: int, caller: Caller) -> Iterator[None]:
        """Hold places for a request's images.

        Raises:
            OverloadedError: There are not so many places, or not for this caller.
        """
        self._check(images, caller)
        self._count(images, caller)
        try:
            yield
        finally:
            self._count(-images, caller)

    async def emptied(self) -> None:
        """Wait until no place is held."""
        await self._empty.wait()

    def _check(self, images: int, caller: Caller) -> None:
        free = self._places - self.admitted - images
        held = self._held[caller.name]
        bulk = caller.priority is Priority.BULK
        ahead = self.admitted - self._bulk
        if free < 0:
            reason = f"{self.admitted} images are being served, {images} more would pass the limit of {self._places}"
        elif held and held + images > _OF_THE_FREE * free:
            reason = f"{held} of your images are being served, and the places left are kept for others"
        elif bulk and self._bulk and self._bulk + images > _BULK_SHARE * self._places:
            reason = f"{self._bulk} images of bulk work are being served, which may hold half of {self._places} places"
        elif not bulk and self._seconds_for(ahead) > self._max_wait:
            reason = (
                f"the {ahead} images ahead take about {self._seconds_for(ahead):.2f} s, {self._max_wait:g} are allowed"
            )
        else:
            return
        least, most = _RETRY_SECONDS
        seconds = min(max(self._seconds_for(self.admitted) or _UNKNOWN_SECONDS, least), most)
        raise OverloadedError(f"overloaded: {reason}; try again in {seconds:.2f} s", retry_after=seconds)

    def _count(self, images: int, caller: Caller) -> None:
        self.admitted += images
        self._held[caller.name] += images
        if not self._held[caller.name]:
            del self._held[caller.name]
        self._bulk += images if caller.priority is Priority.BULK else 0
        if self.admitted:
            self._empty.clear()
        else:
            self._empty.set()
        self._observer(self.admitted)
