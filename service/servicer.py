"""`isthmus.v1.AdversarialDetector`: each method converts, calls and converts back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

from isthmus.v1 import detector_pb2 as pb
from isthmus.v1 import detector_pb2_grpc
from service.health import DETECTOR_SERVICE
from service.wire import parse_score_request

if TYPE_CHECKING:
    from service.guard import GuardSlot

    Context = grpc.aio.ServicerContext[Any, Any]


class DetectorServicer(detector_pb2_grpc.AdversarialDetectorServicer):  # type: ignore[misc] # generated without types
    """Answers with the guard in a slot.

    Args:
        slot: Holds the guard once it is loaded.
    """

    def __init__(self, slot: GuardSlot) -> None:
        self._slot = slot

    async def Score(self, request: pb.ScoreRequest, context: Context) -> pb.ScoreResponse:  # noqa: N802 - the proto's name
        """Classify and score images."""
        return await self._slot.guard.score(request, time_left=context.time_remaining())

    async def GetDetector(  # noqa: N802 - the proto's name
        self, request: pb.GetDetectorRequest, context: Context
    ) -> pb.GetDetectorResponse:
        """Describe the detector."""
        del request, context
        return self._slot.guard.describe()

    def add_to(self, server: grpc.aio.Server, *, max_images: int) -> None:
        """Answer on `server`, reading requests by `service.wire` instead of the generated code."""
        method = grpc.unary_unary_rpc_method_handler
        read: Any = partial(parse_score_request, max_images=max_images)
        handlers = {
            "Score": method(self.Score, read, pb.ScoreResponse.SerializeToString),
            "GetDetector": method(
                self.GetDetector, pb.GetDetectorRequest.FromString, pb.GetDetectorResponse.SerializeToString
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(DETECTOR_SERVICE, handlers),))
