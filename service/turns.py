"""Whose turn it is: urgent work first, and within it every caller in turn."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from service.callers import Priority

if TYPE_CHECKING:
    from service.callers import Caller

T = TypeVar("T")

_BULK_EVERY: Final = 8
"""Of so many batches one begins with bulk work, however much is urgent: slow, but it never stands still."""


class _Round(Generic[T]):
    """Lines of several callers; the one at whose line it is goes to the end of the round."""

    def __init__(self) -> None:
        self.lines: dict[str, deque[T]] = {}

    def add(self, name: str, item: T) -> None:
        self.lines.setdefault(name, deque()).append(item)

    def take(self) -> T:
        name, line = next(iter(self.lines.items()))
        del self.lines[name]
        item = line.popleft()
        if line:
            self.lines[name] = line
        return item

    def drop(self, name: str, item: T) -> None:
        line = self.lines.get(name)
        if line is not None and item in line:
            line.remove(item)
            if not line:
                del self.lines[name]


class Turns(Generic[T]):
    """What waits, by priority and caller."""

    def __init__(self) -> None:
        self._rounds: dict[Priority, _Round[T]] = {priority: _Round() for priority in Priority}
        self._batches = 0
        self._first = Priority.INTERACTIVE

    def add(self, caller: Caller, item: T) -> None:
        """Queue up at the end of the caller's line."""
        self._rounds[caller.priority].add(caller.name, item)

    def drop(self, caller: Caller, item: T) -> None:
        """Leave the line, if it is still in it."""
        self._rounds[caller.priority].drop(caller.name, item)

    def begin_batch(self) -> None:
        """The items taken from here on go into another batch."""
        self._batches += 1
        self._first = Priority.BULK if self._batches % _BULK_EVERY == 0 else Priority.INTERACTIVE

    @property
    def callers(self) -> int:
        """How many callers share the items whose turn it is."""
        return len(self._leading.lines)

    def take(self) -> T:
        """The next item; there must be one."""
        return self._leading.take()

    def __bool__(self) -> bool:
        return any(entry.lines for entry in self._rounds.values())

    @property
    def _leading(self) -> _Round[T]:
        """Those whose turn it is."""
        first = self._rounds[self._first]
        return first if first.lines else next(entry for entry in self._rounds.values() if entry.lines)
