"""The typed Python client.

Use it so::

    with Client("localhost:50051") as client:
        for image in client.score(["a.png", "b.jpg"]):
            print(image.label, image.p_value, image.verdict)

`AsyncClient` is the same for asyncio. Failed calls raise the errors of `detector.errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import grpc

from isthmus.v1 import detector_pb2 as pb
from isthmus.v1 import detector_pb2_grpc
from service.access import Access
from service.client_stream import score_stream, score_stream_async
from service.connections import BALANCED
from service.requests import Image, Images, Wishes, requests_for, shifted
from service.results import DetectorDescription, ScoredImage
from service.status import from_rpc_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator

DEFAULT_TIMEOUT: Final = 60.0
_PLAIN: Final = Access()
_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.max_receive_message_length", -1),  # replies with profiles pass gRPC's 4 MiB
    ("grpc.max_send_message_length", -1),
    BALANCED,
)


class Client:
    """Calls a server. Safe to share between threads; close it, or use it in a ``with`` block.

    Args:
        target: The server, such as ``localhost:50051``; any gRPC name works, ``dns:///guard:50051`` too.
        timeout: Seconds a single request may take. A large call makes several requests.
        access: TLS and token; plain text and none if not given.
    """

    def __init__(self, target: str, *, timeout: float = DEFAULT_TIMEOUT, access: Access = _PLAIN) -> None:
        self._channel = access.channel(grpc, target, _OPTIONS)
        self._metadata = access.metadata
        self._stub: Any = detector_pb2_grpc.AdversarialDetectorStub(self._channel)
        self._timeout = timeout
        self._description: DetectorDescription | None = None

    def describe(self) -> DetectorDescription:
        """What the server has loaded, how it was calibrated and what it accepts.

        Raises:
            IsthmusError: As `score` does.
        """
        self._description = DetectorDescription.of(self._call(self._stub.GetDetector, pb.GetDetectorRequest()))
        return self._description

    def score(
        self,
        images: Images,
        *,
        include_profile: bool = False,
        include_logits: bool = False,
        report_per_image: bool = False,
    ) -> list[ScoredImage]:
        """Classify and score images.

        Args:
            images: An array (N, H, W, C) or (H, W, C), uint8 or floats in [0, 1]; encoded bytes; a path; or a list of
                one-image arrays, or of bytes and paths. More than the server takes at once is sent in parts.
            include_profile: Also return losses and margins along every path.
            include_logits: Also return the classifier's logits.
            report_per_image: Bad images get an error of their own; otherwise the first one is raised, and nothing
                is returned.

        Returns:
            One answer per image, in order.

        Raises:
            InvalidInputError: An image or field is wrong.
            LimitExceededError: Something is larger than the server accepts.
            OverloadedError: The server is full; `retry_after` says when to try again.
            NotReadyError: The server can't be reached, is starting or stopping.
            DeadlineError: There was no answer within the timeout.
            ServiceFailedError: The server failed; its log says why.
        """
        wishes = Wishes(
            include_profile=include_profile, include_logits=include_logits, report_per_image=report_per_image
        )
        scored: list[ScoredImage] = []
        for first, request in requests_for(images, wishes, self._description or self.describe()):
            scored += _read(self._call(self._stub.Score, request, first), first)
        return scored

    def score_stream(
        self, images: Iterable[Image], *, include_profile: bool = False, include_logits: bool = False
    ) -> Iterator[ScoredImage]:
        """Classify and score images as they come, for pipelines: answers come in order while further images are read.

        The server works on a few at once and takes no more meanwhile, so `images` may be endless.

        Args:
            images: One by one, as for `score`; they are read on another thread.
            include_profile: As for `score`.
            include_logits: As for `score`.

        Yields:
            One answer per image; a bad image, or one that the server has no room for, has an error in its answer and
            does not end the stream.

        Raises:
            NotReadyError: The server can't be reached, is starting or stopping.
            ServiceFailedError: The server ended the stream too early.
            IsthmusError: Otherwise as for `score`; and whatever `images` raises.
        """
        wishes = Wishes(include_profile=include_profile, include_logits=include_logits, report_per_image=True)
        limits = self._description or self.describe()
        return score_stream(self._stub.ScoreStream, images, wishes, limits, self._metadata)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _call(self, method: Any, request: Any, first: int = 0) -> Any:
        try:
            return method(request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise shifted(from_rpc_error(error), first) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient:
    """`Client` for asyncio; belongs to the event loop it is made on.

    Args:
        target: As for `Client`.
        timeout: As for `Client`.
        access: As for `Client`.
    """

    def __init__(self, target: str, *, timeout: float = DEFAULT_TIMEOUT, access: Access = _PLAIN) -> None:
        self._channel = access.channel(grpc.aio, target, _OPTIONS)
        self._metadata = access.metadata
        self._stub: Any = detector_pb2_grpc.AdversarialDetectorStub(self._channel)
        self._timeout = timeout
        self._description: DetectorDescription | None = None

    async def describe(self) -> DetectorDescription:
        """As `Client.describe`."""
        reply = await self._call(self._stub.GetDetector, pb.GetDetectorRequest())
        self._description = DetectorDescription.of(reply)
        return self._description

    async def score(
        self,
        images: Images,
        *,
        include_profile: bool = False,
        include_logits: bool = False,
        report_per_image: bool = False,
    ) -> list[ScoredImage]:
        """As `Client.score`."""
        wishes = Wishes(
            include_profile=include_profile, include_logits=include_logits, report_per_image=report_per_image
        )
        scored: list[ScoredImage] = []
        for first, request in requests_for(images, wishes, self._description or await self.describe()):
            scored += _read(await self._call(self._stub.Score, request, first), first)
        return scored

    async def score_stream(
        self,
        images: Iterable[Image] | AsyncIterable[Image],
        *,
        include_profile: bool = False,
        include_logits: bool = False,
    ) -> AsyncGenerator[ScoredImage, None]:
        """As `Client.score_stream`; `images` may be asynchronous."""
        wishes = Wishes(include_profile=include_profile, include_logits=include_logits, report_per_image=True)
        limits = self._description or await self.describe()
        async for scored in score_stream_async(self._stub.ScoreStream, images, wishes, limits, self._metadata):
            yield scored

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def _call(self, method: Any, request: Any, first: int = 0) -> Any:
        try:
            return await method(request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise shifted(from_rpc_error(error), first) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _read(reply: pb.ScoreResponse, first: int) -> Iterator[ScoredImage]:
    for result in reply.results:
        image = ScoredImage.of(result)
        yield image if image.error is None else ScoredImage(error=shifted(image.error, first))
