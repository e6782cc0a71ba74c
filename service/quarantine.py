"""The quarantine: a folder of images under a size budget, the oldest of which make room for new ones."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from detector.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


class Quarantine:
    """Keeps images by name. Belongs to one thread; the folder is its own.

    Args:
        folder: Made if it is missing; files that are there count.
        max_bytes: Of all files together.

    Raises:
        SettingsError: The folder can't be made or read.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = [(file, file.stat()) for file in folder.iterdir() if file.is_file()]
        except OSError as error:
            raise SettingsError(f"quarantine: {folder} can't be used: {error.strerror}") from error
        found.sort(key=lambda entry: entry[1].st_mtime_ns)
        self._sizes = OrderedDict((file.name, stat.st_size) for file, stat in found)
        self._bytes = sum(self._sizes.values())

    def keep(self, name: str, content: bytes) -> str | None:
        """Keep an image; its name in the folder, or None where it is larger than the whole budget.

        Args:
            name: Tells images apart: one that is there already is not written again.
            content: Of the file.

        Raises:
            OSError: It can't be written; nothing of it is left.
        """
        if name in self._sizes:
            return name
        if len(content) > self._max_bytes:
            return None
        while self._bytes + len(content) > self._max_bytes:
            oldest, size = self._sizes.popitem(last=False)
            self._bytes -= size
            (self._folder / oldest).unlink(missing_ok=True)
        part = self._folder / f".{name}.part"
        try:
            part.write_bytes(content)
            part.replace(self._folder / name)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        self._sizes[name] = len(content)
        self._bytes += len(content)
        return name
