"""Pictures of the path profiles of flagged images, for `isthmus score --profiles`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from detector.errors import DataError, MissingExtraError
from detector.images import to_canonical
from detector.verdicts import Verdict

if TYPE_CHECKING:
    from detector.classifiers.base import UInt8Array
    from detector.cli.inputs import Given
    from detector.detector import Detection

MOST_PICTURES: Final = 100
_UNSAFE: Final = re.compile(r"[^\w.-]+")
_LONGEST_NAME: Final = 80


class FlaggedPictures:
    """Draws the first hundred images that are not BENIGN, one PNG each.

    Args:
        folder: Where to; made if need be.

    Raises:
        MissingExtraError: Matplotlib is not installed.
        DataError: The folder can't be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from detector import pictures
        except ImportError as error:
            raise MissingExtraError("matplotlib", extra="calibrate", purpose="drawing path profiles") from error
        self._pictures = pictures
        self._folder = folder
        self._drawn = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"--profiles {folder}: can't be made: {error.strerror}") from error

    def add(self, images: list[Given], pixels: UInt8Array, detection: Detection) -> None:
        """Draw those of a few scored images that are flagged."""
        for row, image in enumerate(images):
            if detection.verdicts[row] is not Verdict.BENIGN and self._drawn < MOST_PICTURES:
                self._draw(image.name, pixels[row], detection[row : row + 1])

    def _draw(self, name: str, pixels: UInt8Array, detection: Detection) -> None:
        canonical = to_canonical(pixels, (pixels.shape[2], *pixels.shape[:2]))[0]
        pictured = self._pictures.PicturedImage(Path(name).name, canonical, detection)
        file = self._folder / f"{self._drawn:03}-{_UNSAFE.sub('_', name)[-_LONGEST_NAME:]}.png"
        file.write_bytes(self._pictures.path_profiles([pictured]))
        self._drawn += 1
