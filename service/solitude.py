"""Whether requests come one by one: then each may be computed on the event loop, which is deaf meanwhile.

Who comes during such a computation is not seen, and needs the event loop several times before being heard: were the
next one computed there too, and the next, a crowd would wait many times as long as its work takes. So the event loop is
kept free for a request now and then, to listen whether there are others.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_CERTAIN: Final = 8
"""So many requests in turn must have had nobody beside them before one is computed on the event loop."""
_DEAF: Final = 8
"""So many may then be computed there before the next is listened beside."""


class Solitude:
    """Counts requests that had nobody beside them.

    Attributes:
        arrivals: Requests so far, those that were turned away too.
    """

    def __init__(self) -> None:
        self.arrivals = 0
        self._listening = False
        self._listened = 0
        self._deaf = 0

    @property
    def certain(self) -> bool:
        """Whether the next request may be expected to be alone; never while one is computed."""
        return not self._listening and self._listened >= _CERTAIN and self._deaf < _DEAF

    def came(self) -> None:
        """There is a request."""
        self.arrivals += 1

    def deaf(self) -> None:
        """A request was computed while nobody listened."""
        self._deaf += 1

    @contextmanager
    def listening(self, *, alone: bool) -> Iterator[None]:
        """While requests are computed and the event loop listens; whether it is one, and nobody else there at first."""
        came_before, self._listening = self.arrivals, True
        try:
            yield
        finally:
            self._listening = False
            self._listened = self._listened + 1 if alone and self.arrivals == came_before else 0
            self._deaf = 0
