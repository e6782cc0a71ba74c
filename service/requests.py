"""What a client has, as requests that a server accepts: arrays become tensors, files stay files, much becomes many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from detector.errors import FieldError, InvalidInputError
from isthmus.v1 import detector_pb2 as pb

if TYPE_CHECKING:
    from detector.errors import IsthmusError
    from service.results import DetectorDescription

Image: TypeAlias = NDArray[Any] | bytes | str | Path
Images: TypeAlias = Image | Sequence[Image]

_ONE_IMAGE_AXES: Final = 3
_GREY_AXES: Final = 2
# What a request needs besides its images, and what protobuf needs besides each image's bytes.
_REQUEST_BYTES: Final = 512
_FILE_BYTES: Final = 8
_INDEX: Final = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a reply shall have beside the evidence, and what becomes of bad images."""

    include_profile: bool = False
    include_logits: bool = False
    report_per_image: bool = False

    def request(self, **fields: Any) -> pb.ScoreRequest:
        """A request with these wishes, and `fields` of the message beside."""
        policy = pb.BAD_IMAGE_POLICY_REPORT_PER_IMAGE if self.report_per_image else pb.BAD_IMAGE_POLICY_REFUSE_REQUEST
        return pb.ScoreRequest(
            bad_image_policy=policy,
            include_logits=self.include_logits,
            include_profile=self.include_profile,
            **fields,
        )


def requests_for(images: Images, wishes: Wishes, limits: DetectorDescription) -> Iterator[tuple[int, pb.ScoreRequest]]:
    """Requests for some images, each small enough for the server, each with the index of its first image.

    Args:
        images: An array (N, H, W, C) or (H, W, C); or encoded bytes, or a path; or a list of arrays of one image each,
            or of bytes and paths. uint8 or floats in [0, 1].
        wishes: What to ask for.
        limits: What the server accepts.

    Raises:
        InvalidInputError: Not images, a list of both arrays and files, arrays of different shapes or dtypes, a file
            that can't be read. What is left to the server to check comes back as its error.
    """
    if isinstance(images, np.ndarray):
        return _tensor_requests(images, wishes, limits)
    listed = [images] if isinstance(images, bytes | str | Path) else list(images)
    arrays = [image for image in listed if isinstance(image, np.ndarray)]
    if not arrays:
        return _file_requests(listed, wishes, limits)
    if len(arrays) < len(listed):
        raise InvalidInputError("send arrays or files, not both at once", field="images")
    if len({(array.shape, array.dtype) for array in arrays}) > 1:
        raise InvalidInputError("arrays in one list must have one shape and one dtype", field="images")
    return _tensor_requests(np.stack(arrays), wishes, limits)


def shifted(error: IsthmusError, first: int) -> IsthmusError:
    """`error` of a request whose first image was the caller's image `first`, naming images as the caller counts."""
    if not first or not isinstance(error, FieldError):
        return error
    return error.renamed(_INDEX.sub(lambda index: f"[{int(index[1]) + first}]", error.field))


def _tensor_requests(
    images: NDArray[Any], wishes: Wishes, limits: DetectorDescription
) -> Iterator[tuple[int, pb.ScoreRequest]]:
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise InvalidInputError(f"dtype must be uint8 or floating point, not {images.dtype}", field="images")
    kind = pb.PIXEL_TYPE_UINT8 if images.dtype == np.uint8 else pb.PIXEL_TYPE_FLOAT32
    batch = _as_batch(images)
    if kind == pb.PIXEL_TYPE_FLOAT32:
        batch = batch.astype("<f4")
    image_bytes = max(1, batch[:1].nbytes)
    step = max(1, min(limits.max_images, (limits.max_message_bytes - _REQUEST_BYTES) // image_bytes))
    for first in range(0, max(1, len(batch)), step):  # an empty batch goes too: the server says what is wrong
        part = batch[first : first + step]
        tensor = pb.ImageTensor(data=part.tobytes(), pixel_type=kind, shape=part.shape, layout=pb.LAYOUT_NHWC)
        yield first, wishes.request(tensor=tensor)


def _as_batch(images: NDArray[Any]) -> NDArray[Any]:
    if images.ndim == _GREY_AXES:
        return images[None, :, :, None]
    return images[None] if images.ndim == _ONE_IMAGE_AXES else images


def _file_requests(
    files: Sequence[Any], wishes: Wishes, limits: DetectorDescription
) -> Iterator[tuple[int, pb.ScoreRequest]]:
    part: list[bytes] = []
    room = limits.max_message_bytes - _REQUEST_BYTES
    for index, file in enumerate(files):
        data = _bytes_of(file, index)
        if part and (len(part) == limits.max_images or len(data) + _FILE_BYTES > room):
            yield index - len(part), wishes.request(encoded=pb.EncodedImages(images=part))
            part, room = [], limits.max_message_bytes - _REQUEST_BYTES
        part.append(data)
        room -= len(data) + _FILE_BYTES
    yield len(files) - len(part), wishes.request(encoded=pb.EncodedImages(images=part))


def _bytes_of(file: Any, index: int) -> bytes:
    if isinstance(file, bytes):
        return file
    if not isinstance(file, str | Path):
        raise InvalidInputError(
            f"must be an array, bytes or a path, not {type(file).__name__}", field=f"images[{index}]"
        )
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InvalidInputError(f"can't read {file}: {error.strerror}", field=f"images[{index}]") from error
