"""`isthmus.v1.AdversarialDetector`: each method converts, calls and converts back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isthmus.v1 import detector_pb2_grpc

if TYPE_CHECKING:
    import grpc

    from isthmus.v1 import detector_pb2 as pb
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
