"""Small images for tests, and files made of them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from detector.classifiers.base import UInt8Array

SHAPE = (3, 8, 8)


def picture(seed: int, height: int = 8, width: int = 8, channels: int = 3) -> UInt8Array:
    """Random pixels, uint8 (height, width, channels)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def encoded(pixels: UInt8Array | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """An image file of `pixels`."""
    image = (
        pixels
        if isinstance(pixels, Image.Image)
        else Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    )
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims width x height grey pixels and holds a few kilobytes of compressed zeros."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(4 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write files below `root`, making folders as needed."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def classes(counts: Mapping[str, int], prefix: str = "") -> dict[str, bytes]:
    """An image folder's files: so many PNGs for each class."""
    names = [f"{prefix}{name}/{i}.png" for name, count in counts.items() for i in range(count)]
    return {name: encoded(picture(seed)) for seed, name in enumerate(names)}


def table(rows: Sequence[tuple[str, object]], header: str = "file,label") -> bytes:
    """A labels.csv."""
    return "\n".join([header, *(f"{file},{label}" for file, label in rows)]).encode()
