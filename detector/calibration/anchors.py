"""Images that may stand in for a class: all but those that an analysis of difficulty lists as hard or mislabelled."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.errors import CalibrationError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.data.source import ImageSet

MAX_BYTES: Final = 1 << 30
SCHEMA_VERSION: Final = 1
"""Of the file that `isthmus analyze difficulty` writes, ``cleaning-listed.json``."""


@dataclass(frozen=True, eq=False)
class ListedImages:
    """Images that must be no anchors.

    Args:
        digests: Of the images, as `ImageSet.image_digests` gives them.
        shape: At which they were read: (channels, height, width).
        source: The file's name.
        sha256: Of the file, hexadecimal.
    """

    digests: frozenset[str]
    shape: tuple[int, ...]
    source: str
    sha256: str

    @classmethod
    def read(cls, file: Path) -> ListedImages:
        """Read what the cleaning study lists.

        Raises:
            CalibrationError: It can't be read, is too large, or is no such list; names the file.
        """
        try:
            if file.stat().st_size > MAX_BYTES:
                raise CalibrationError(f"{file}: larger than {MAX_BYTES} bytes; it can't be a list of images")
            data = file.read_bytes()
            fields = json.loads(data)
        except OSError as error:
            raise CalibrationError(f"{file}: can't be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise CalibrationError(f"{file}: no list of images: {error}") from error
        if not _is_list(fields):
            raise CalibrationError(
                f"{file}: no list of images of schema {SCHEMA_VERSION}; give the cleaning-listed.json of "
                "isthmus analyze difficulty"
            )
        shape = tuple(fields["shape"])
        return cls(frozenset(fields["listed"]), shape, file.name, hashlib.sha256(data).hexdigest())

    def among(self, images: ImageSet) -> NDArray[np.bool_]:
        """Which images of a set are listed, bool (N,), whatever their order and names."""
        return np.array([digest in self.digests for digest in images.image_digests], bool)

    def to_json(self, images: ImageSet) -> dict[str, Any]:
        """What a bundle says of it, JSON values."""
        return {
            "source": self.source,
            "sha256": self.sha256,
            "listed": len(self.digests),
            "kept_out": int(self.among(images).sum()),
        }

    def warnings(self, images: ImageSet) -> list[str]:
        """What is to be said where none of them is in a set that is calibrated on."""
        if not self.digests or self.among(images).any():
            return []
        height, width, channels = images.pixels.shape[1:]
        warning = (
            f"none of the {len(self.digests)} images listed in {self.source} is among the calibration images, which "
            f"are read as {(channels, height, width)} and were {self.shape} there; nothing is kept out of the anchors"
        )
        return [warning]


def _is_list(fields: Any) -> bool:
    if not isinstance(fields, dict) or fields.get("schema_version") != SCHEMA_VERSION:
        return False
    listed, shape = fields.get("listed"), fields.get("shape")
    return isinstance(listed, dict) and isinstance(shape, list) and all(isinstance(side, int) for side in shape)
