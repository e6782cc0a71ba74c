"""Finished stages on disk, so that an interrupted calibration goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from detector.errors import CalibrationError
from detector.tensors import to_safetensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Arrays = dict[str, NDArray[Any]]

_VERSION = 4  # of the stages' meaning: raise it when a stage computes something else from the same inputs


class StageStore:
    """Keeps the arrays each stage made, under a key of all it was made from.

    Args:
        folder: Where; made when the first stage is stored.
        inputs: What all stages depend on: digests and options, JSON values.
    """

    def __init__(self, folder: Path, inputs: Mapping[str, Any]) -> None:
        self.folder = folder
        self.identity = dict(inputs)

    def run(self, name: str, compute: Callable[[], Arrays], **depends: Any) -> tuple[Arrays, bool]:
        """The stage's arrays, and whether they were found rather than computed.

        Args:
            name: The stage.
            compute: Makes its arrays.
            depends: What this stage depends on beyond the store's inputs, JSON values.

        Raises:
            CalibrationError: The disk refuses.
        """
        found = self.find(name, **depends)
        if found is not None:
            return found, True
        arrays = compute()
        self.keep(name, arrays, **depends)
        return arrays, False

    def find(self, name: str, **depends: Any) -> Arrays | None:
        """The arrays of a stage that is kept; None where it is not, or where its file is damaged."""
        return _load(self._path(name, depends, ".safetensors"))

    def keep(self, name: str, arrays: Arrays, **depends: Any) -> None:
        """Keep a finished stage; the shards it was made of are forgotten.

        Raises:
            CalibrationError: The disk refuses.
        """
        _store(self._path(name, depends, ".safetensors"), arrays)
        self.parts(name, **depends).clear()

    def parts(self, name: str, **depends: Any) -> PartStore:
        """Where the finished shards of a stage are kept until all are."""
        return PartStore(self._path(name, depends, ".shards"))

    def clear(self) -> None:
        """Forget all stages."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str, depends: Mapping[str, Any], suffix: str) -> Path:
        return self.folder / f"{name.replace('/', '_')}-{self._key(name, depends)}{suffix}"

    def _key(self, name: str, depends: Mapping[str, Any]) -> str:
        fields = {"version": _VERSION, "stage": name, "inputs": self.identity, "depends": depends}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


class PartStore:
    """Finished shards of a stage that is not finished.

    Args:
        folder: Where; made when the first shard is stored.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, count: int) -> dict[int, Arrays]:
        """Those of `count` shards that are there and not damaged, by number."""
        found = {number: _load(self._file(number)) for number in range(count)} if self._folder.is_dir() else {}
        return {number: arrays for number, arrays in found.items() if arrays is not None}

    def store(self, number: int, arrays: Arrays) -> None:
        """Keep a finished shard.

        Raises:
            CalibrationError: The disk refuses.
        """
        _store(self._file(number), arrays)

    def clear(self) -> None:
        """Forget all shards."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06}.safetensors"


def _load(file: Path) -> Arrays | None:
    """The stored arrays; None where there are none, or where the file is damaged and must be made again."""
    try:
        return load_file(file)
    except (OSError, SafetensorError, ValueError):
        return None


def _store(file: Path, arrays: Arrays) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(to_safetensors(arrays))
            Path(temporary).replace(file)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise CalibrationError(f"{file.parent}: a finished stage can't be stored: {error}") from error
