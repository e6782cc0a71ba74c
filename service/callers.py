"""Who calls, and how urgently: what the queue is fair by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Priority(StrEnum):
    """INTERACTIVE: somebody waits. BULK: answered with what is left of the engine's time."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True)
class Caller:
    """One that shares the service with others.

    Args:
        name: Tells callers apart: a connection's address.
        priority: Of this request.
    """

    name: str = ""
    priority: Priority = Priority.INTERACTIVE
