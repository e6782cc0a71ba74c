"""Files of lines that never grow beyond their budget: a full one is set aside under a number, the oldest goes."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from detector.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

_OWNER_ALONE: Final = 0o600


class LineFile:
    """Appends lines to a file; ``name.1`` is the one before it, and so on. Belongs to one thread.

    A line stands there whole or not at all, whatever the disk does, and is with the operating system when `append`
    returns.

    Args:
        path: The newest file.
        max_bytes: Of each file.
        files: How many there are at most.

    Raises:
        SettingsError: It can't be written.
    """

    def __init__(self, path: Path, *, max_bytes: int, files: int) -> None:
        self._path, self._max_bytes, self._files = path, max_bytes, files
        try:
            os.close(self._open())
        except OSError as error:
            raise SettingsError(f"{path}: can't be written: {error.strerror}") from error

    def append(self, line: bytes) -> None:
        """Write a line, which has no end of line of its own.

        Raises:
            OSError: It can't be written; what was written of it is taken back.
        """
        text = line + b"\n"
        file = self._open()
        try:
            size = os.fstat(file).st_size
            if size and size + len(text) > self._max_bytes:
                os.close(file)
                file = -1
                self._rotate()
                file = self._open()
                size = 0
            _write_whole(file, text, size)
        finally:
            if file >= 0:
                os.close(file)

    def _open(self) -> int:
        """Opened anew for each line, so that who moves or removes the file gets what they expect."""
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _OWNER_ALONE)

    def _rotate(self) -> None:
        for number in range(self._files - 1, 0, -1):
            older = self._path if number == 1 else self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        self._path.unlink(missing_ok=True)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _write_whole(file: int, text: bytes, size: int) -> None:
    try:
        written = os.write(file, text)
        if written < len(text):  # the disk filled up in the middle
            os.write(file, text[written:])
    except OSError:
        with contextlib.suppress(OSError):  # what went wrong first is to be told
            os.ftruncate(file, size)
        raise
