"""`isthmus.v1.AdversarialDetector`: each method converts, calls and converts back."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from isthmus.v1 import detector_pb2 as pb
from isthmus.v1 import detector_pb2_grpc
from service import status
from service.health import DETECTOR_SERVICE
from service.identity import caller_name
from service.streams import in_order
from service.wire import parse_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.guard import GuardSlot

    Context = grpc.aio.ServicerContext[Any, Any]


class DetectorServicer(detector_pb2_grpc.AdversarialDetectorServicer):  # type: ignore[misc] # generated without types
    """Answers with the guard in a slot.

    Args:
        slot: Holds the guard once it is loaded.
        max_images: Images one request may hold.
        at_once: Requests of one stream worked on at once.
    """

    def __init__(self, slot: GuardSlot, *, max_images: int, at_once: int) -> None:
        self._slot, self._at_once = slot, at_once
        self._read_request = partial(parse_request, kind=pb.ScoreRequest, max_images=max_images)
        self._read_streamed = partial(parse_request, kind=pb.ScoreStreamRequest, max_images=max_images)

    async def Score(self, request: pb.ScoreRequest, context: Context) -> pb.ScoreResponse:  # noqa: N802 - the proto's name
        """Classify and score images."""
        return await self._slot.guard.score(request, caller=caller_name(context), time_left=context.time_remaining())

    async def ScoreStream(  # noqa: N802 - the proto's name
        self, messages: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[pb.ScoreStreamResponse]:
        """Answer each request in its place; one that fails does not end the stream."""
        self._slot.guard  # noqa: B018 - refuses the stream while there is none
        await context.send_initial_metadata(())  # a caller who wants to know sees that it is not refused

        async def answer(message: bytes) -> pb.ScoreStreamResponse:
            response = pb.ScoreStreamResponse()
            try:
                streamed = self._read_streamed(message)
                response.id = streamed.id
                found = await self._slot.guard.score(
                    streamed.request, caller=caller_name(context), time_left=context.time_remaining()
                )
                response.response.CopyFrom(found)
            except Exception as error:  # noqa: BLE001 - the last resort of every request of a stream
                response.error.CopyFrom(status.to_status(status.public(error)))
            return response

        async with aclosing(in_order(messages, answer, at_once=self._at_once)) as responses:
            async for response in responses:
                yield response

    async def GetDetector(  # noqa: N802 - the proto's name
        self, request: pb.GetDetectorRequest, context: Context
    ) -> pb.GetDetectorResponse:
        """Describe the detector."""
        del request, context
        return self._slot.guard.describe()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Answer on `server`, reading requests by `service.wire` instead of the generated code."""
        method = grpc.unary_unary_rpc_method_handler
        read: Any = self._read_request
        stream: Any = self.ScoreStream
        handlers = {
            "Score": method(self.Score, read, pb.ScoreResponse.SerializeToString),
            "ScoreStream": grpc.stream_stream_rpc_method_handler(
                stream, None, pb.ScoreStreamResponse.SerializeToString
            ),
            "GetDetector": method(
                self.GetDetector, pb.GetDetectorRequest.FromString, pb.GetDetectorResponse.SerializeToString
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(DETECTOR_SERVICE, handlers),))
