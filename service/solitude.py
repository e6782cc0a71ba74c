"""Whether requests come one by one: then each may be computed on the event loop, which is deaf meanwhile.

Who comes during such a computation is not seen, and needs the event loop several times before being heard: were the
next one computed there too, and the next, a crowd would wait many times as long as its work takes. So the event loop is
kept free for a request now and then, to listen whether there are others.
"""

from __future__ import annotations

from typing import Final

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
        self._listened = 0
        self._deaf = 0

    @property
    def certain(self) -> bool:
        """Whether the next request may be expected to be alone."""
        return self._listened >= _CERTAIN and self._deaf < _DEAF

    def came(self) -> None:
        """There is a request."""
        self.arrivals += 1

    def deaf(self) -> None:
        """A request was computed while nobody listened."""
        self._deaf += 1

    def listened(self, *, alone: bool) -> None:
        """A request was computed while the event loop listened; whether nobody else was there, from first to last."""
        self._listened = self._listened + 1 if alone else 0
        self._deaf = 0
