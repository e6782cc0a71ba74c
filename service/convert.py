"""Requests to canonical images: every check that can be made is made before memory is taken."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.data.decode import DecodeLimits, decode_image
from detector.errors import InvalidInputError, IsthmusError, LimitExceededError
from detector.images import to_canonical
from isthmus.v1 import detector_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array, UInt8Array
    from service.settings import ServiceSettings

_TENSOR_AXES: Final = 4
_POLICIES: Final = frozenset(pb.BadImagePolicy.values())
_PRIORITIES: Final = frozenset(pb.Priority.values())
_PIXELS: Final = frozenset(pb.PixelType.values())
_LAYOUTS: Final = frozenset(pb.Layout.values())
# Little-endian whatever the machine: it is what the proto promises.
_PIXEL_TYPES: Final[dict[int, np.dtype[Any]]] = {
    pb.PIXEL_TYPE_UINT8: np.dtype("u1"),
    pb.PIXEL_TYPE_FLOAT32: np.dtype("<f4"),
}


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """What one request may hold; see the settings of the same names."""

    max_images: int
    max_message_bytes: int
    decode: DecodeLimits

    @classmethod
    def of(cls, settings: ServiceSettings) -> RequestLimits:
        """The limits that the settings ask for."""
        return cls(
            max_images=settings.max_images,
            max_message_bytes=settings.max_message_bytes,
            decode=DecodeLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels),
        )


@dataclass(frozen=True)
class Inputs:
    """The images of a request, or of some consecutive ones of it.

    Args:
        images: float32 (M, channels, height, width), values in [0, 1]: the good ones, in order.
        errors: What is wrong with the others, by their index in the request.
    """

    images: Float32Array
    errors: dict[int, IsthmusError]

    def first_error(self) -> IsthmusError | None:
        """What is wrong with the first bad image, if there is one."""
        return self.errors[min(self.errors)] if self.errors else None


def check_request(request: pb.ScoreRequest, shape: tuple[int, int, int], limits: RequestLimits) -> int:
    """Check all of a request but its pixels, and count its images.

    Args:
        request: From anyone.
        shape: What the classifier takes: (channels, height, width).
        limits: What a request may hold.

    Raises:
        InvalidInputError: No input, an unknown enum value, no image, or a tensor whose header is wrong.
        LimitExceededError: More images than a request may hold.
    """
    _check_enum(request.bad_image_policy, _POLICIES, "bad_image_policy")
    _check_enum(request.priority, _PRIORITIES, "priority")
    match request.WhichOneof("input"):
        case "encoded":
            return _checked_count(len(request.encoded.images), limits, "encoded.images")
        case "tensor":
            return _check_tensor(request.tensor, shape, limits)
        case _:
            raise InvalidInputError("is missing; set encoded (image files) or tensor (raw pixels)", field="input")


def read_encoded(files: Sequence[bytes], shape: tuple[int, int, int], limits: RequestLimits, *, first: int) -> Inputs:
    """Decode image files; `first` is the index in the request of the first of them."""
    pixels: list[UInt8Array] = []
    errors: dict[int, IsthmusError] = {}
    for index, data in enumerate(files, start=first):
        try:
            pixels.append(decode_image(data, shape, limits=limits.decode, field=f"encoded.images[{index}]"))
        except IsthmusError as error:
            errors[index] = error
    return Inputs(to_canonical(np.stack(pixels), shape) if pixels else _no_images(shape), errors)


def image_field(request: pb.ScoreRequest, index: int) -> str:
    """What the caller knows an image by."""
    return f"encoded.images[{index}]" if request.WhichOneof("input") == "encoded" else f"tensor[{index}]"


def image_as_sent(request: pb.ScoreRequest, index: int) -> bytes | NDArray[Any]:
    """One image of a checked request: a file's bytes, or pixels in the caller's own layout."""
    if request.WhichOneof("input") == "encoded":
        return request.encoded.images[index]
    return _pixels(request.tensor)[index]


def tensor_view(tensor: pb.ImageTensor) -> NDArray[Any]:
    """The pixels of a checked tensor as (N, height, width, channels), not copied and not yet looked at."""
    pixels = _pixels(tensor)
    return pixels.transpose(0, 2, 3, 1) if tensor.layout == pb.LAYOUT_NCHW else pixels


def _pixels(tensor: pb.ImageTensor) -> NDArray[Any]:
    return np.frombuffer(tensor.data, _PIXEL_TYPES[tensor.pixel_type]).reshape(tuple(tensor.shape))


def read_tensor(pixels: NDArray[Any], shape: tuple[int, int, int], *, first: int) -> Inputs:
    """Check pixels and make them canonical; `first` is the index in the request of the first image.

    Args:
        pixels: uint8 or float32 (N, height, width, channels), as `tensor_view` gives.
        shape: What the classifier takes: (channels, height, width).
        first: For the errors.
    """
    try:
        return Inputs(to_canonical(pixels, shape, field="tensor", first=first), {})
    except InvalidInputError:
        return _read_one_by_one(pixels, shape, first)


def _read_one_by_one(pixels: NDArray[Any], shape: tuple[int, int, int], first: int) -> Inputs:
    good: list[Float32Array] = []
    errors: dict[int, IsthmusError] = {}
    for index in range(len(pixels)):
        try:
            good.append(to_canonical(pixels[index : index + 1], shape, field="tensor", first=first + index))
        except InvalidInputError as error:
            errors[first + index] = error
    return Inputs(np.concatenate([_no_images(shape), *good]), errors)


def _no_images(shape: tuple[int, int, int]) -> Float32Array:
    return np.empty((0, *shape), np.float32)


def _check_tensor(tensor: pb.ImageTensor, shape: tuple[int, int, int], limits: RequestLimits) -> int:
    _check_enum(tensor.pixel_type, _PIXELS, "tensor.pixel_type")
    _check_enum(tensor.layout, _LAYOUTS, "tensor.layout")
    if tensor.pixel_type == pb.PIXEL_TYPE_UNSPECIFIED:
        raise InvalidInputError("is missing; set PIXEL_TYPE_UINT8 or PIXEL_TYPE_FLOAT32", field="tensor.pixel_type")
    found = tuple(tensor.shape)
    channels, height, width = shape
    nchw = tensor.layout == pb.LAYOUT_NCHW
    wanted = (channels, height, width) if nchw else (height, width, channels)
    if len(found) != _TENSOR_AXES or found[1:] != wanted or found[0] < 0:
        name = "NCHW" if nchw else "NHWC"
        raise InvalidInputError(
            f"must be [N, {wanted[0]}, {wanted[1]}, {wanted[2]}] ({name}), not {list(found)}", field="tensor.shape"
        )
    count = _checked_count(found[0], limits, "tensor")
    expected = math.prod(found) * _PIXEL_TYPES[tensor.pixel_type].itemsize
    if len(tensor.data) != expected:
        raise InvalidInputError(
            f"has {len(tensor.data)} bytes; shape and pixel type make {expected}", field="tensor.data"
        )
    return count


def _checked_count(count: int, limits: RequestLimits, field: str) -> int:
    if count == 0:
        raise InvalidInputError("the batch is empty; send at least one image", field=field)
    if count > limits.max_images:
        raise LimitExceededError(f"{count} images, at most {limits.max_images} per request", field=field)
    return count


def _check_enum(value: int, known: Collection[int], field: str) -> None:
    if value not in known:
        raise InvalidInputError(f"{value} is not a known value; known are {min(known)} to {max(known)}", field=field)
