"""Where a command's result goes: standard output, or a file that is there whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from detector.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def result_stream(file: Path | None) -> Iterator[IO[str]]:
    """The stream to write results to; a file is moved into place when the block ends without an error.

    Raises:
        DataError: The file can't be written.
    """
    if file is None:
        yield sys.stdout
        return
    with _moved_into_place(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        yield stream


@contextmanager
def _moved_into_place(file: Path) -> Iterator[Path]:
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    except OSError as error:
        raise DataError(f"--output {file}: can't be written: {error.strerror}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(file)
    except OSError as error:
        raise DataError(f"--output {file}: can't be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
