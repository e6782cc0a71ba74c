"""The two APIs as a load generator needs them: requests from pixels, answers from bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from google.protobuf.message import DecodeError

from detector.errors import IsthmusError, OverloadedError, ServiceFailedError
from detector.verdicts import Verdict
from isthmus.inference.v2 import inference_pb2 as oip
from isthmus.v1 import detector_pb2 as pb
from loadtest.answers import Answer
from service.health import DETECTOR_SERVICE, INFERENCE_SERVICE
from service.results import ScoredImage
from service.status import from_status
from service.tensors import IMAGES, LABEL, split_elements

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.classifiers.base import UInt8Array

Read = TypeVar("Read")
_VERDICTS: Final = tuple(Verdict)
_SCORE, _VERDICT = "score", "verdict"
# Such a stream tells errors by their text alone: those of `service.admission` and `service.quota`.
_OVERLOADED: Final = ("overloaded:", "the quota of")


@dataclass(frozen=True)
class Streamed:
    """One answer of a stream.

    Args:
        id: Of the request.
        answers: To its images.
        error: Instead of them.
    """

    id: str
    answers: list[Answer]
    error: IsthmusError | None = None


@dataclass(frozen=True)
class Api:
    """One of the APIs.

    Args:
        unary: Name of the method for one request.
        stream: Name of the method for a stream.
        service: Whose methods they are.
        request: A request from uint8 pixels (N, height, width, channels) and an id, serialised.
        answers: What a reply says; raises an IsthmusError where it is not an answer to each image.
        stream_request: As `request`, for the stream.
        stream_answers: As `answers`, for the stream.
    """

    unary: str
    stream: str
    service: str
    request: Callable[[UInt8Array, str], bytes]
    answers: Callable[[bytes], list[Answer]]
    stream_request: Callable[[UInt8Array, str], bytes]
    stream_answers: Callable[[bytes], Streamed]

    def path(self, method: str) -> str:
        """As gRPC wants it."""
        return f"/{self.service}/{method}"


def _readable(read: Callable[[bytes], Read]) -> Callable[[bytes], Read]:
    """The same for bytes of anyone's."""

    def guarded(message: bytes) -> Read:
        try:
            return read(message)
        except (DecodeError, ValueError) as error:
            raise ServiceFailedError("the reply can't be read") from error

    return guarded


def _score_request(pixels: UInt8Array) -> pb.ScoreRequest:
    tensor = pb.ImageTensor(data=pixels.tobytes(), pixel_type=pb.PIXEL_TYPE_UINT8, shape=pixels.shape)
    return pb.ScoreRequest(tensor=tensor)


def _scored(reply: pb.ScoreResponse) -> list[Answer]:
    images = [ScoredImage.of(result) for result in reply.results]
    found = [Answer(image.label, image.score, image.verdict) for image in images if image.verdict is not None]
    if len(found) < len(images):
        raise ServiceFailedError("an image was not answered")
    return found


def _streamed(message: bytes) -> Streamed:
    reply = pb.ScoreStreamResponse.FromString(message)
    if reply.WhichOneof("outcome") == "error":
        return Streamed(reply.id, [], from_status(reply.error))
    return Streamed(reply.id, _scored(reply.response))


NATIVE: Final = Api(
    unary="Score",
    stream="ScoreStream",
    service=DETECTOR_SERVICE,
    request=lambda pixels, _: _score_request(pixels).SerializeToString(),
    answers=_readable(lambda message: _scored(pb.ScoreResponse.FromString(message))),
    stream_request=lambda pixels, id_: pb.ScoreStreamRequest(
        id=id_, request=_score_request(pixels)
    ).SerializeToString(),
    stream_answers=_readable(_streamed),
)


def oip_api(model: str) -> Api:
    """The Open Inference Protocol, asking this model."""

    def request(pixels: UInt8Array, id_: str) -> bytes:
        found = oip.ModelInferRequest(model_name=model, id=id_, raw_input_contents=[pixels.tobytes()])
        found.inputs.add(name=IMAGES, datatype="UINT8", shape=pixels.shape)
        for output in (LABEL, _SCORE, _VERDICT):
            found.outputs.add(name=output)
        return found.SerializeToString()

    return Api(
        unary="ModelInfer",
        stream="ModelStreamInfer",
        service=INFERENCE_SERVICE,
        request=request,
        answers=_readable(lambda message: _inferred(oip.ModelInferResponse.FromString(message))),
        stream_request=request,
        stream_answers=_readable(_stream_inferred),
    )


def _inferred(reply: oip.ModelInferResponse) -> list[Answer]:
    raw: dict[str, Any] = {
        output.name: data for output, data in zip(reply.outputs, reply.raw_output_contents, strict=False)
    }
    if missing := {LABEL, _SCORE, _VERDICT} - raw.keys():
        raise ServiceFailedError(f"the reply lacks {', '.join(sorted(missing))}")
    labels = [text.decode() for text in split_elements(raw[LABEL])]
    scores, levels = np.frombuffer(raw[_SCORE], "<f4"), np.frombuffer(raw[_VERDICT], "<i8")
    if not len(labels) == len(scores) == len(levels) or not set(levels.tolist()) <= set(range(len(_VERDICTS))):
        raise ServiceFailedError("the reply's outputs do not fit one another")
    return [Answer(*one) for one in zip(labels, scores.tolist(), (_VERDICTS[level] for level in levels), strict=True)]


def _stream_inferred(message: bytes) -> Streamed:
    reply = oip.ModelStreamInferResponse.FromString(message)
    if not (text := reply.error_message):
        return Streamed(reply.infer_response.id, _inferred(reply.infer_response))
    error = OverloadedError(text, retry_after=0) if text.startswith(_OVERLOADED) else ServiceFailedError(text)
    return Streamed(reply.infer_response.id, [], error)
