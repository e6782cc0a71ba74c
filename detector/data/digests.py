"""What an image is known by, whatever it is called and wherever it stands."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from detector.classifiers.base import UInt8Array


def image_digests(pixels: UInt8Array) -> tuple[str, ...]:
    """SHA-256, hexadecimal, of each image's pixels and its shape; not of its label.

    Args:
        pixels: uint8 (N, height, width, channels), as `ImageSet` has them.
    """
    shape = f"{pixels.shape[1:]}".encode()
    return tuple(hashlib.sha256(shape + np.ascontiguousarray(image).tobytes()).hexdigest() for image in pixels)
