"""Replies that are no answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.errors import InvalidInputError, LimitExceededError, OverloadedError, ServiceFailedError
from isthmus.inference.v2 import inference_pb2 as oip
from isthmus.v1 import detector_pb2 as pb
from loadtest.wire import NATIVE, oip_api
from service.status import to_status

if TYPE_CHECKING:
    from collections.abc import Callable

OIP = oip_api("isthmus")
LABELS = b"\x03\0\0\0cat"
SCORE, VERDICT = np.float32(1.5).tobytes(), np.int64(1).tobytes()


def inferred(**outputs: bytes) -> bytes:
    reply = oip.ModelInferResponse(raw_output_contents=outputs.values())
    for name in outputs:
        reply.outputs.add(name=name)
    return reply.SerializeToString()


def test_a_whole_reply_is_read() -> None:
    (answer,) = OIP.answers(inferred(label=LABELS, score=SCORE, verdict=VERDICT))
    assert (answer.label, answer.score, answer.verdict.value) == ("cat", 1.5, "SUSPECT")


@pytest.mark.parametrize(
    ("outputs", "error"),
    [
        ({"label": LABELS, "score": SCORE}, "lacks verdict"),
        ({"label": LABELS, "score": 2 * SCORE, "verdict": VERDICT}, "do not fit"),
        ({"label": LABELS, "score": SCORE, "verdict": np.int64(3).tobytes()}, "do not fit"),
    ],
)
def test_an_incomplete_reply_is_a_failure(outputs: dict[str, bytes], error: str) -> None:
    with pytest.raises(ServiceFailedError, match=error):
        OIP.answers(inferred(**outputs))


def test_a_label_that_is_cut_off_is_a_failure() -> None:
    with pytest.raises(InvalidInputError):
        OIP.answers(inferred(label=LABELS[:-1], score=SCORE, verdict=VERDICT))


@pytest.mark.parametrize(
    "message",
    [
        inferred(label=b"\x01\0\0\0\xff", score=SCORE, verdict=VERDICT),
        inferred(label=LABELS, score=b"1", verdict=VERDICT),
    ],
)
def test_bytes_that_mean_nothing_are_a_failure(message: bytes) -> None:
    with pytest.raises(ServiceFailedError, match="can't be read"):
        OIP.answers(message)


@pytest.mark.parametrize("read", [NATIVE.answers, NATIVE.stream_answers, OIP.answers, OIP.stream_answers])
def test_bytes_that_are_no_message_are_a_failure(read: Callable[[bytes], object]) -> None:
    with pytest.raises(ServiceFailedError, match="can't be read"):
        read(b"\xff")


def test_an_image_without_an_answer_is_a_failure() -> None:
    error = to_status(InvalidInputError("bad", field="tensor[0]"))
    reply = pb.ScoreResponse(results=[pb.ImageResult(error=error)])
    with pytest.raises(ServiceFailedError, match="not answered"):
        NATIVE.answers(reply.SerializeToString())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OverloadedError("overloaded: full", retry_after=1), OverloadedError),
        (LimitExceededError("too many", field="tensor"), LimitExceededError),
    ],
)
def test_a_streams_errors_keep_their_kind(error: OverloadedError | LimitExceededError, kind: type[Exception]) -> None:
    found = NATIVE.stream_answers(pb.ScoreStreamResponse(id="7", error=to_status(error)).SerializeToString())
    assert found.id == "7"
    assert isinstance(found.error, kind)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("overloaded: 8 images are being served", OverloadedError),
        ("the quota of 60 images per minute is used up", OverloadedError),
        ("internal error 12", ServiceFailedError),
    ],
)
def test_the_other_protocols_stream_tells_them_by_text(text: str, kind: type[Exception]) -> None:
    found = OIP.stream_answers(oip.ModelStreamInferResponse(error_message=text).SerializeToString())
    assert isinstance(found.error, kind)
