"""Whatever is sent, decoding answers with pixels or with an error that names the field; soon, and in little memory."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.data.decode import DecodeLimits, decode_image
from detector.errors import InvalidInputError, IsthmusError, LimitExceededError
from tests.support.pictures import SHAPE, bomb, encoded, picture

FILES = {kind: encoded(picture(0, 40, 60), kind) for kind in ("PNG", "JPEG", "WEBP", "BMP")}


def _webp(kind: bytes, body: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


@pytest.mark.parametrize(
    ("width", "height"), [(50_000, 50_000), (10_000, 9_500), (65_000, 1), (6_000, 6_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    data = bomb(width, height)
    assert len(data) < 8_192
    tracemalloc.start()
    with pytest.raises(LimitExceededError, match=rf"^images\[3\]: {width} x {height} pixels"):
        decode_image(data, SHAPE, field="images[3]")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "data",
    [
        _webp(b"VP8X", struct.pack("<I", 0) + b"\xff\x3f\x00" * 2),
        _webp(b"VP8L", b"\x2f" + struct.pack("<I", 0x3FFF | 0x3FFF << 14)),
        _webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 0x3FFF, 0x3FFF)),
    ],
    ids=["extended", "lossless", "lossy"],
)
def test_a_webp_bomb_is_refused_before_its_canvas_is_allocated(data: bytes) -> None:
    with pytest.raises(LimitExceededError, match=r"1638\d x 1638\d pixels"):
        decode_image(data, SHAPE)


def test_a_bomb_costs_no_memory_outside_of_python_either() -> None:
    code = """
import resource, sys
from detector.data.decode import decode_image
from detector.errors import LimitExceededError
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
try:
    decode_image(sys.stdin.buffer.read(), (3, 8, 8))
except LimitExceededError:
    print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], input=bomb(50_000, 50_000), capture_output=True, check=True)
    assert int(done.stdout) < 8 << 10  # KiB


def test_too_many_bytes() -> None:
    with pytest.raises(LimitExceededError, match="image: 101 bytes, at most 100"):
        decode_image(bytes(101), SHAPE, limits=DecodeLimits(max_bytes=100))


def test_limits_are_inclusive() -> None:
    data = encoded(picture(1, 10, 10))
    limits = DecodeLimits(max_bytes=len(data), max_pixels=100, max_side=10)
    assert decode_image(data, SHAPE, limits=limits).shape == (8, 8, 3)
    with pytest.raises(LimitExceededError, match="at most 99 pixels"):
        decode_image(data, SHAPE, limits=DecodeLimits(max_pixels=99))
    with pytest.raises(LimitExceededError, match="no side may pass 9"):
        decode_image(data, SHAPE, limits=DecodeLimits(max_side=9))


def test_a_jpeg_of_endless_scans() -> None:
    data = FILES["JPEG"] + b"\xff\xda" * 200
    with pytest.raises(LimitExceededError, match="201 JPEG scans"):
        decode_image(data, SHAPE)


def test_a_progressive_jpeg_is_fine() -> None:
    assert decode_image(encoded(picture(2, 64, 64), "JPEG", progressive=True), SHAPE).shape == (8, 8, 3)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_file(kind: str, kept: float) -> None:
    data = FILES[kind][: int(kept * len(FILES[kind]))]
    with pytest.raises(InvalidInputError, match=r"^images\[7\]: is (truncated|corrupt)") as caught:
        decode_image(data, SHAPE, field="images[7]")
    assert caught.value.field == "images[7]"


def test_a_truncated_jpeg_is_called_truncated() -> None:
    with pytest.raises(InvalidInputError, match="is truncated; send the whole file"):
        decode_image(FILES["JPEG"][:-200], SHAPE)


@pytest.mark.parametrize("data", [b"this is not a picture", b"GIF89a" + bytes(50), b"II*\0" + bytes(50), b"%PDF-1.7"])
def test_other_files(data: bytes) -> None:
    with pytest.raises(InvalidInputError, match="image: is not a JPEG, PNG or WebP file"):
        decode_image(data, SHAPE)


def test_nothing() -> None:
    with pytest.raises(InvalidInputError, match="image: is empty"):
        decode_image(b"", SHAPE)


def _answer(data: bytes) -> None:
    try:
        pixels = decode_image(data, SHAPE, limits=DecodeLimits(max_pixels=1_000_000))
    except IsthmusError as error:
        assert str(error).startswith("image: ")  # noqa: PT017 - either answer is right
        assert " at 0x" not in str(error)  # noqa: PT017 - likewise
    else:
        assert pixels.shape == (8, 8, 3)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([b"", *(file[:30] for file in FILES.values())]), st.binary(max_size=400))
def test_random_bytes_never_crash(magic: bytes, tail: bytes) -> None:
    _answer(magic + tail)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_altered_files_never_crash(kind: str, changes: list[tuple[float, int]]) -> None:
    data = bytearray(FILES[kind])
    for place, value in changes:
        data[int(place**3 * len(data))] = value  # mostly in the header, where it hurts
    _answer(bytes(data))
