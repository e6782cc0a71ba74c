"""Reads the images of requests in a few threads of its own, so that decoding never holds up the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from isthmus.v1 import detector_pb2 as pb
from service.convert import Inputs, RequestLimits, check_request, read_encoded, read_tensor, tensor_view

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

T = TypeVar("T")

# Images per piece of work: small enough that requests take turns, large enough that handing over costs little.
_FILES_AT_ONCE: Final = 8
_TENSORS_AT_ONCE: Final = 64
# Pixels that are read sooner than another thread would begin.
_INLINE_BYTES: Final = 64 << 10


class RequestReader:
    """Turns requests into canonical images.

    Args:
        shape: What the classifier takes: (channels, height, width).
        limits: What a request may hold.
        threads: How many images are decoded at the same time.
    """

    def __init__(self, shape: tuple[int, int, int], limits: RequestLimits, *, threads: int) -> None:
        self._shape = shape
        self._limits = limits
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def count(self, request: pb.ScoreRequest) -> int:
        """How many images a request has, after checking all of it but the pixels; raises as `check_request` does."""
        return check_request(request, self._shape, self._limits)

    async def read(self, request: pb.ScoreRequest, count: int) -> Inputs:
        """Read the `count` images of a request that `count` has checked.

        Raises:
            InvalidInputError, LimitExceededError: The first bad image's error, unless the request's policy is to
                report bad images one by one.
        """
        report = request.bad_image_policy == pb.BAD_IMAGE_POLICY_REPORT_PER_IMAGE
        if request.WhichOneof("input") == "tensor" and len(request.tensor.data) <= _INLINE_BYTES:
            return _passed(read_tensor(tensor_view(request.tensor), self._shape, first=0), report=report)
        pieces = [asyncio.ensure_future(piece) for piece in self._pieces(request, count)]
        try:
            return await self._join(pieces, report=report)
        finally:
            for piece in pieces:  # of a refused or cancelled request; does nothing to finished ones
                piece.cancel()

    async def run(self, work: Callable[[], T]) -> T:
        """Do other work on the reader's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Wait for running work and end the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _pieces(self, request: pb.ScoreRequest, count: int) -> list[Coroutine[None, None, Inputs]]:
        if request.WhichOneof("input") == "encoded":
            files = request.encoded.images
            return [
                self.run(partial(read_encoded, files[i : i + _FILES_AT_ONCE], self._shape, self._limits, first=i))
                for i in range(0, count, _FILES_AT_ONCE)
            ]
        pixels = tensor_view(request.tensor)
        starts = range(0, count, _TENSORS_AT_ONCE)
        return [self.run(partial(read_tensor, pixels[i : i + _TENSORS_AT_ONCE], self._shape, first=i)) for i in starts]

    async def _join(self, pieces: Sequence[asyncio.Future[Inputs]], *, report: bool) -> Inputs:
        read = [_passed(await piece, report=report) for piece in pieces]
        if len(read) == 1:
            return read[0]
        errors = {index: error for inputs in read for index, error in inputs.errors.items()}
        return Inputs(await self.run(lambda: np.concatenate([inputs.images for inputs in read])), errors)


def _passed(inputs: Inputs, *, report: bool) -> Inputs:
    """The same, unless one of the images is bad and that is not to be reported."""
    error = inputs.first_error()
    if error is not None and not report:
        raise error
    return inputs
