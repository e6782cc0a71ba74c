"""Reads requests off the wire without letting a small message become a large one.

Every empty value in a protobuf message costs its sender two bytes and its reader sixteen, so 64 MiB of them take a
gigabyte and seconds to parse. The values are counted on the bytes first; counting ends as soon as there are too many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from detector.errors import InvalidInputError, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor

M = TypeVar("M", bound=Message)
Parsed = TypeVar("Parsed")

# Values of a request beside its images: policies, a shape, fields of a newer version.
_OTHER_VALUES: Final = 256
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES: Final = 10
_FIXED_SIZES: Final = {_FIXED64: 8, _FIXED32: 4}
_OPAQUE: Final = {FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_STRING}


def parse_request(message: bytes, kind: type[M], *, max_images: int, image_values: int = 1) -> M:
    """Parse a request.

    Args:
        message: From anyone.
        kind: Of request.
        max_images: Images one may hold.
        image_values: Values of each image: 1 where it is bytes; bytes of all numbers where they may come one by one.

    Raises:
        LimitExceededError: It holds far more values than a request of `max_images` images needs.
        InvalidInputError: It is no request.
    """
    allowed = max_images * image_values + _OTHER_VALUES
    descriptor: Any = kind.DESCRIPTOR
    if len(message) > allowed and exceeds(message, descriptor, allowed):  # a value takes a byte at least
        raise LimitExceededError(f"holds more than {allowed} values; at most {max_images} images", field="request")
    return deserialized(kind.FromString, message)


def deserialized(deserialize: Callable[[bytes], Parsed], message: bytes) -> Parsed:
    """What `deserialize` makes of a message.

    Raises:
        InvalidInputError: It is none of that type; gRPC by itself would answer UNKNOWN and a Python type name.
    """
    try:
        return deserialize(message)
    except DecodeError as error:
        raise InvalidInputError("is no message of the type this method takes", field="request") from error


def exceeds(message: bytes, descriptor: Descriptor, values: int) -> bool:
    """Whether a message holds more than so many values, counting every byte of packed numbers as one.

    Malformed bytes end the count: a parser gets no further either.
    """
    try:
        return _left(message, 0, len(message), descriptor, values) < 0
    except IndexError:
        return False


def _left(message: bytes, at: int, end: int, descriptor: Descriptor, values: int) -> int:
    """What is left of `values` after those in ``message[at:end]``; negative as soon as there are more."""
    while at < end and values >= 0:
        tag, at = _varint(message, at)
        kind, field = tag & 7, descriptor.fields_by_number.get(tag >> 3)
        values -= 1
        if kind == _VARINT:
            _, at = _varint(message, at)
        elif kind == _BYTES:
            size, at = _varint(message, at)
            if field is not None and field.message_type is not None:
                values = _left(message, at, min(at + size, end), field.message_type, values)
            elif field is not None and field.type not in _OPAQUE:
                values -= size
            at += size
        else:
            at += _FIXED_SIZES.get(kind, 0)  # the tags of groups have no content of their own
    return values


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A variable-length number and where it ends; IndexError where it is none."""
    value = 0
    for shift in range(0, 7 * _VARINT_BYTES, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more follows
            return value, at
    raise IndexError
