"""`inference.GRPCInferenceService`, the Open Inference Protocol, with Triton's stream: for clients that are there.

Error texts say everything, because these clients show no more of a status than its code and its text.
"""

from __future__ import annotations

import math
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc

from detector.errors import FieldError, InvalidInputError, NotFoundError
from detector.versions import project_version
from isthmus.inference.v2 import inference_pb2 as oip
from isthmus.v1 import detector_pb2 as pb
from service import status, tensors
from service.health import INFERENCE_SERVICE
from service.identity import caller_name
from service.streams import in_order
from service.wire import parse_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from service.guard import Guard, GuardSlot
    from service.ports import LoadedBundle

    Context = grpc.aio.ServicerContext[Any, Any]

VERSION: Final = "1"
_TIMEOUT: Final = "timeout"
_PRIORITY: Final = "priority"
_MICROSECONDS: Final = 1e6
_NUMBER_BYTES: Final = 5  # at most, of an element of uint_contents or fp32_contents
_EXTENSIONS: Final = ("binary_tensor_data", "model_stream_infer")


@dataclass(frozen=True)
class _Model:
    """One of the models: what it puts out, and which of a guard's ways to answer it is."""

    outputs: Callable[[LoadedBundle], tuple[tensors.OutputTensor[Any], ...]]
    answer: Callable[[Guard], Callable[..., Awaitable[tuple[Any, ...]]]]


class InferenceServicer:
    """Answers with the guard in a slot, as one model, and with its classifier alone as another, if that has a name.

    Args:
        slot: Holds the guard once it is loaded.
        model: The guard's name as a model.
        classifier: The classifier's own; empty where it is not offered.
        max_images: Images one request may hold.
        at_once: Requests of one stream worked on at once.
    """

    def __init__(self, slot: GuardSlot, *, model: str, classifier: str, max_images: int, at_once: int) -> None:
        self._slot, self._max_images, self._at_once = slot, max_images, at_once
        self._models: dict[str, _Model] = {model: _Model(tensors.outputs_of, lambda guard: guard.detections)}
        if classifier:
            self._models[classifier] = _Model(tensors.classifier_outputs_of, lambda guard: guard.logits)

    async def server_live(self, request: oip.ServerLiveRequest, context: Context) -> oip.ServerLiveResponse:
        """Whether the server answers: it does."""
        del request, context
        return oip.ServerLiveResponse(live=True)

    async def server_ready(self, request: oip.ServerReadyRequest, context: Context) -> oip.ServerReadyResponse:
        """Whether the guard is loaded."""
        del request, context
        return oip.ServerReadyResponse(ready=self._slot.loaded)

    async def model_ready(self, request: oip.ModelReadyRequest, context: Context) -> oip.ModelReadyResponse:
        """Whether this model answers."""
        del context
        self._chosen(request.name, request.version)
        return oip.ModelReadyResponse(ready=self._slot.loaded)

    async def server_metadata(self, request: oip.ServerMetadataRequest, context: Context) -> oip.ServerMetadataResponse:
        """What serves."""
        del request, context
        return oip.ServerMetadataResponse(name="isthmus", version=project_version(), extensions=_EXTENSIONS)

    async def model_metadata(self, request: oip.ModelMetadataRequest, context: Context) -> oip.ModelMetadataResponse:
        """Inputs and outputs."""
        del context
        model = self._chosen(request.name, request.version)
        bundle = self._slot.guard.bundle
        return tensors.model_metadata(bundle, model.outputs(bundle), name=request.name, version=VERSION)

    async def model_infer(self, request: oip.ModelInferRequest, context: Context) -> oip.ModelInferResponse:
        """Classify and score images."""
        return await self._infer(request, context)

    async def model_stream_infer(
        self, messages: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[oip.ModelStreamInferResponse]:
        """Answer each request in its place; one that fails does not end the stream."""

        async def answer(message: bytes) -> oip.ModelStreamInferResponse:
            response = oip.ModelStreamInferResponse()
            try:
                request = self._parse(message)
                response.infer_response.id = request.id
                response.infer_response.CopyFrom(await self._infer(request, context))
            except Exception as error:  # noqa: BLE001 - the last resort of every request of a stream
                response.error_message = str(status.public(error))
            return response

        async with aclosing(in_order(messages, answer, at_once=self._at_once)) as responses:
            async for response in responses:
                yield response

    def add_to(self, server: grpc.aio.Server) -> None:
        """Answer on `server`, under the protocol's own name."""
        unary = {
            "ServerLive": (self.server_live, oip.ServerLiveRequest.FromString),
            "ServerReady": (self.server_ready, oip.ServerReadyRequest.FromString),
            "ModelReady": (self.model_ready, oip.ModelReadyRequest.FromString),
            "ServerMetadata": (self.server_metadata, oip.ServerMetadataRequest.FromString),
            "ModelMetadata": (self.model_metadata, oip.ModelMetadataRequest.FromString),
            "ModelInfer": (self.model_infer, self._parse),
        }
        handlers: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(method, read, _serialized)  # type: ignore[arg-type] # as grpc's own
            for name, (method, read) in unary.items()
        }
        stream: Any = self.model_stream_infer
        handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(stream, None, _serialized)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(INFERENCE_SERVICE, handlers),))

    async def _infer(self, request: oip.ModelInferRequest, context: Context) -> oip.ModelInferResponse:
        model = self._chosen(request.model_name, request.model_version)
        guard = self._slot.guard
        bundle = guard.bundle
        outputs = tensors.wanted_outputs(request, model.outputs(bundle))
        native = tensors.score_request(request, bundle.manifest.spec.shape)
        native.priority = _priority(request)
        try:
            answer = model.answer(guard)
            parts = await answer(native, caller=caller_name(context), time_left=_time_left(request, context))
        except FieldError as error:
            raise tensors.renamed(error) from error
        response = oip.ModelInferResponse(model_name=request.model_name, model_version=VERSION, id=request.id)
        response.parameters["bundle_digest"].string_param = bundle.digest
        tensors.add_outputs(response, outputs, parts, len(bundle.manifest.labels))
        return response

    def _parse(self, message: bytes) -> oip.ModelInferRequest:
        """Read a request, whose pixels may come number by number."""
        pixels = math.prod(self._slot.guard.bundle.manifest.spec.shape)
        return parse_request(
            message, oip.ModelInferRequest, max_images=self._max_images, image_values=1 + _NUMBER_BYTES * pixels
        )

    def _chosen(self, name: str, version: str) -> _Model:
        if name not in self._models or version not in {"", VERSION}:
            wanted = f"{name!r}" + (f", version {version!r}" if version else "")
            known = " and ".join(map(repr, self._models))
            raise NotFoundError(f"there is no model {wanted}; there is {known}, version {VERSION!r}")
        return self._models[name]


def _time_left(request: oip.ModelInferRequest, context: Context) -> float | None:
    """Seconds until the caller gives up: its deadline or the request's own time-out, whichever is sooner."""
    left = context.time_remaining()
    if _TIMEOUT not in request.parameters:
        return left
    microseconds = request.parameters[_TIMEOUT].int64_param
    if microseconds <= 0:
        raise InvalidInputError(
            f"must be a positive number of microseconds, not {microseconds}", field="parameters[timeout]"
        )
    own = microseconds / _MICROSECONDS
    return own if left is None else min(left, own)


def _priority(request: oip.ModelInferRequest) -> pb.Priority:
    """Triton's levels: 0 is the default, 1 the most urgent."""
    parameter = request.parameters[_PRIORITY] if _PRIORITY in request.parameters else oip.InferParameter()
    level = parameter.uint64_param or parameter.int64_param
    if level < 0:
        raise InvalidInputError(f"must not be negative, not {level}", field="parameters[priority]")
    return pb.PRIORITY_BULK if level > 1 else pb.PRIORITY_INTERACTIVE


def _serialized(message: Any) -> bytes:
    return bytes(message.SerializeToString())
