"""Errors as a command line shows them: one line and an exit code, no traceback."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from detector.errors import IsthmusError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILURE = 1
INTERRUPTED = 130  # what shells report for SIGINT


@contextmanager
def clear_errors(*, on_interrupt: str = "interrupted") -> Iterator[None]:
    """Turn expected errors and Ctrl-C into a line on standard error and an exit code.

    Args:
        on_interrupt: What to say on Ctrl-C.
    """
    try:
        yield
    except IsthmusError as error:
        sys.stderr.write(f"isthmus: {error}\n")
        sys.exit(FAILURE)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nisthmus: {on_interrupt}\n")
        sys.exit(INTERRUPTED)
