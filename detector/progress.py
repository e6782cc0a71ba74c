"""How long work tells whoever watches that it goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Advance = Callable[[int], None]
"""Told how many steps were done since it was told last."""


class Progress(Protocol):
    """Watches stages of work."""

    def stage(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """Start a stage of `total` steps; the stage ends with the context."""
        ...

    def note(self, text: str) -> None:
        """Something a person should read."""
        ...


class Silence:
    """Nobody watches."""

    def stage(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """Ignore the stage."""
        del title, total
        return nullcontext(_ignore)

    def note(self, text: str) -> None:
        """Ignore the note."""


def _ignore(steps: int) -> None:
    del steps
