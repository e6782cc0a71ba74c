"""Errors as a command line shows them: one line and an exit code, no traceback."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from detector.errors import IsthmusError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILURE = 1
INTERRUPTED = 130  # what shells report for SIGINT
BROKEN_PIPE = 141  # likewise for SIGPIPE
_CALIBRATE_PACKAGES = frozenset({"matplotlib", "onnx", "onnx2torch", "scipy", "sklearn", "torch", "torchvision"})


@contextmanager
def clear_errors(*, on_interrupt: str = "interrupted") -> Iterator[None]:
    """Turn expected errors and Ctrl-C into a line on standard error and an exit code.

    Args:
        on_interrupt: What to say on Ctrl-C.
    """
    try:
        yield
        sys.stdout.flush()
    except IsthmusError as error:
        sys.stderr.write(f"isthmus: {error}\n")
        sys.exit(FAILURE)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _CALIBRATE_PACKAGES:
            raise
        sys.stderr.write(f"isthmus: {MissingExtraError(package, extra='calibrate', purpose='this command')}\n")
        sys.exit(FAILURE)
    except BrokenPipeError:
        # Whoever read our output, such as `head`, has seen enough; Python must not try to flush the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nisthmus: {on_interrupt}\n")
        sys.exit(INTERRUPTED)
