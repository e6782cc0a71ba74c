from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import InvalidInputError, LimitExceededError
from isthmus.v1 import detector_pb2 as pb
from service.wire import exceeds, parse_request

MANY = 8 << 20
REQUEST: Any = pb.ScoreRequest.DESCRIPTOR
TENSOR: Any = pb.ImageTensor.DESCRIPTOR


def nested(field: int, content: bytes) -> bytes:
    """A length-delimited field."""
    size, length = b"", len(content)
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([field << 3 | 2]) + size + bytes([length]) + content


BOMBS = {
    "empty images": nested(1, b"\x0a\x00" * MANY),
    "empty images in many fields": nested(1, b"\x0a\x00") * MANY,
    "packed shape": nested(2, nested(3, b"\x01" * MANY)),
    "unpacked shape": nested(2, b"\x18\x01" * MANY),
    "unknown fields": b"\x78\x01" * MANY,
    "repeated flag": b"\x20\x01" * MANY,
    "groups": b"\x7b\x7c" * MANY,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_messages_that_would_grow_are_refused_at_once(bomb: str) -> None:
    started = time.thread_time()
    with pytest.raises(LimitExceededError, match="request: holds more than 512 values; at most 256 images"):
        parse_request(BOMBS[bomb], pb.ScoreRequest, max_images=256)
    assert time.thread_time() - started < 0.2


@pytest.mark.parametrize("message", [b"\xff" * MANY, b"\x0a" + b"\x80" * MANY], ids=["tag", "length"])
def test_endless_numbers_are_refused_at_once(message: bytes) -> None:
    started = time.thread_time()
    with pytest.raises(InvalidInputError):
        parse_request(message, pb.ScoreRequest, max_images=256)
    assert time.thread_time() - started < 0.2


def test_a_full_request_passes() -> None:
    request = pb.ScoreRequest(encoded=pb.EncodedImages(images=[b"x" * 200] * 256), include_profile=True)
    assert parse_request(request.SerializeToString(), pb.ScoreRequest, max_images=256) == request
    request = pb.ScoreRequest(
        tensor=pb.ImageTensor(data=bytes(100_000), shape=[2**62] * 4, pixel_type=pb.PIXEL_TYPE_UINT8)
    )
    assert parse_request(request.SerializeToString(), pb.ScoreRequest, max_images=1) == request


@given(st.lists(st.binary(max_size=300), max_size=20), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5))
def test_values_are_counted_exactly(images: list[bytes], shape: list[int]) -> None:
    encoded = pb.ScoreRequest(encoded=pb.EncodedImages(images=images), include_logits=True).SerializeToString()
    count = len(images) + 2  # the images, the message around them and the flag
    assert not exceeds(encoded, REQUEST, count)
    assert exceeds(encoded, REQUEST, count - 1)
    assert not exceeds(encoded, REQUEST, len(encoded)), "a value takes a byte at least"
    tensor = pb.ImageTensor(shape=shape)
    packed = len(tensor.SerializeToString()) - 2 if shape else -1  # less tag and length; no field at all if empty
    assert not exceeds(tensor.SerializeToString(), TENSOR, packed + 1)
    assert not shape or exceeds(tensor.SerializeToString(), TENSOR, packed)


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(message: bytes) -> None:
    try:
        parsed = parse_request(message, pb.ScoreRequest, max_images=256)
    except (InvalidInputError, LimitExceededError):
        return
    assert parsed == pb.ScoreRequest.FromString(message)
