"""Opening zips that may be damaged."""

from __future__ import annotations

import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from detector.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What the standard library raises on damaged, encrypted or unusually packed zips.
BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


@contextmanager
def opened_zip(path: Path, what: str = "zip") -> Iterator[zipfile.ZipFile]:
    """A zip, open for reading.

    Args:
        path: The zip.
        what: What it should be, for the error's message.

    Raises:
        DataError: It can't be opened or is no zip.
    """
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as error:
        raise DataError(f"{path}: not a readable {what}: {error}") from error
    with archive:
        yield archive
