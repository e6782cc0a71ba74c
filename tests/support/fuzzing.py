"""Calls as nobody should make them: bytes that are no message, messages that make no sense, good ones that were hurt.

The images of good requests are grey, 8 x 8, as the embedded classifier of digits takes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from isthmus.inference.v2 import inference_pb2 as oip
from isthmus.v1 import detector_pb2 as pb
from tests.support.pictures import bomb, encoded, picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

NATIVE = "/isthmus.v1.AdversarialDetector/"
INFERENCE = "/inference.GRPCInferenceService/"
SHAPE = (8, 8, 1)
PIXELS = picture(1, *SHAPE)
MOST_MESSAGES = 3

_INT64 = st.integers(-(2**63), 2**63 - 1)
_SIZES = st.sampled_from([0, 1, 2, 3, 8, 64, 256, 257, 2**31, 2**32, 2**62, -1, -8, -(2**63)]) | _INT64
_UNKNOWN = st.sampled_from([-1, 3, 7, 2**31 - 1, -(2**31)])
_TEXTS = st.text(max_size=8)
_FILES = (
    *(encoded(picture(seed, 8, 8), kind) for seed, kind in enumerate(("PNG", "JPEG", "WEBP", "BMP"))),
    encoded(PIXELS),
    encoded(picture(9, 1, 300)),
)
_BOMBS = (bomb(50_000, 50_000), bomb(2**31 - 1, 1), bomb(0, 0))


@dataclass(frozen=True)
class RawCall:
    """A call of a method, on bare bytes.

    Args:
        method: Its whole path.
        messages: What is sent; one, but for methods that take a stream.
        streaming: Whether it takes a stream.
    """

    method: str
    messages: tuple[bytes, ...]
    streaming: bool = False


def calls() -> st.SearchStrategy[RawCall]:
    """Calls of all methods of both services, of health checks and reflection, and of methods that there are not."""
    score = _hurt_or_whole(_score_requests())
    streamed = _hurt_or_whole(
        st.builds(lambda number, request: pb.ScoreStreamRequest(id=number, request=request), _TEXTS, _score_requests())
    )
    infer = _hurt_or_whole(_infer_requests())
    named = _hurt_or_whole(st.builds(_named, st.sampled_from(["isthmus", "", "other"]) | _TEXTS, _TEXTS))
    unary = {
        NATIVE + "Score": score,
        NATIVE + "GetDetector": _bytes(),
        NATIVE + "Delete": _bytes(),
        INFERENCE + "ServerLive": _bytes(),
        INFERENCE + "ServerReady": _bytes(),
        INFERENCE + "ServerMetadata": _bytes(),
        INFERENCE + "ModelReady": named,
        INFERENCE + "ModelMetadata": named,
        INFERENCE + "ModelInfer": infer,
        "/grpc.health.v1.Health/Check": _bytes(),
    }
    streams = {
        NATIVE + "ScoreStream": streamed,
        INFERENCE + "ModelStreamInfer": infer,
    }
    # Those with most to say are asked most often.
    single = [*unary, *[NATIVE + "Score", INFERENCE + "ModelInfer"] * 5]
    return st.one_of(
        st.sampled_from(single).flatmap(lambda name: st.builds(partial(_unary, name), unary[name])),
        st.sampled_from([*streams]).flatmap(
            lambda name: st.builds(partial(_stream, name), st.lists(streams[name], min_size=1, max_size=MOST_MESSAGES))
        ),
    )


def good_request() -> pb.ScoreRequest:
    """A request with nothing wrong."""
    tensor = pb.ImageTensor(data=PIXELS.tobytes(), pixel_type=pb.PIXEL_TYPE_UINT8, shape=(1, *SHAPE))
    return pb.ScoreRequest(tensor=tensor, include_logits=True)


def _unary(name: str, message: bytes) -> RawCall:
    return RawCall(name, (message,))


def _stream(name: str, messages: Sequence[bytes]) -> RawCall:
    return RawCall(name, tuple(messages), streaming=True)


def _bytes() -> st.SearchStrategy[bytes]:
    """Any bytes, and bytes that begin like messages do."""
    tags = st.builds(lambda number, kind: bytes([number << 3 | kind]), st.integers(0, 15), st.integers(0, 7))
    pieces = st.builds(
        lambda tag, size, rest: tag + bytes([size]) + rest, tags, st.integers(0, 255), st.binary(max_size=20)
    )
    return st.binary(max_size=200) | st.lists(pieces, max_size=8).map(b"".join)


def _hurt_or_whole(messages: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """Messages as they are written, the same cut or changed somewhere, and bytes that never were any."""
    whole = messages.map(_written)
    return _mostly(
        whole,
        st.one_of(
            st.builds(_cut, whole, st.floats(0, 1)),
            st.builds(_changed, whole, st.floats(0, 1), st.binary(max_size=4), st.integers(0, 4)),
            _bytes(),
        ),
    )


def _mostly(good: st.SearchStrategy[Any], bad: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Four times the one, once the other, so that requests get past the first check."""
    return st.sampled_from([good] * 4 + [bad]).flatmap(lambda chosen: chosen)


def _written(message: Message) -> bytes:
    return bytes(message.SerializeToString())


def _cut(message: bytes, share: float) -> bytes:
    return message[: round(share * len(message))]


def _changed(message: bytes, share: float, put: bytes, away: int) -> bytes:
    at = round(share * len(message))
    return message[:at] + put + message[at + away :]


def _files() -> st.SearchStrategy[bytes]:
    """Image files: good, cut, changed, huge in their headers, and none."""
    good = st.sampled_from(_FILES)
    return st.one_of(
        good,
        good,
        st.builds(_cut, good, st.floats(0, 1)),
        st.builds(_changed, good, st.floats(0, 1), st.binary(max_size=4), st.integers(0, 4)),
        st.sampled_from(_BOMBS),
        st.sampled_from([b"", b"GIF89a", b"\x89PNG\r\n\x1a\n"]) | st.binary(max_size=40),
    )


def _pixels() -> st.SearchStrategy[bytes]:
    """The data of a tensor: whole or not, and numbers that no pixel has."""
    floats = st.builds(
        lambda value, at: np.insert(np.full(PIXELS.size - 1, 0.5, "<f4"), at, value).tobytes(),
        st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf, -0.0, 1e-40, 3e38, 1.0001, -1e-9]),
        st.integers(0, PIXELS.size - 1),
    )
    whole = st.just(PIXELS.tobytes()) | floats
    other = st.builds(lambda one, count: one * count, whole, st.integers(0, 4)) | st.binary(max_size=99)
    return _mostly(whole, other)


def _shapes() -> st.SearchStrategy[list[int]]:
    bad = st.lists(_SIZES, max_size=6) | st.builds(lambda count: [count, *SHAPE], _SIZES)
    return _mostly(st.just([1, *SHAPE]), st.sampled_from([[1, 1, 8, 8], [2, *SHAPE]]) | bad)


def _enums() -> st.SearchStrategy[int]:
    """Values of a field whose type has three."""
    return _mostly(st.integers(0, 2), _UNKNOWN)


def _score_requests() -> st.SearchStrategy[pb.ScoreRequest]:
    tensor = st.builds(
        lambda data, kind, shape, layout: {
            "tensor": pb.ImageTensor(data=data, pixel_type=kind, shape=shape, layout=layout)
        },
        _pixels(),
        _enums(),
        _shapes(),
        _mostly(st.sampled_from([0, 1]), _UNKNOWN | st.just(2)),
    )
    files = st.lists(_files(), max_size=4).map(lambda images: {"encoded": pb.EncodedImages(images=images)})
    many = st.integers(250, 600).map(lambda count: {"encoded": pb.EncodedImages(images=[b""] * count)})
    return st.builds(
        lambda images, policy, priority, logits, profile: pb.ScoreRequest(
            bad_image_policy=policy, priority=priority, include_logits=logits, include_profile=profile, **images
        ),
        st.one_of(tensor, files, many, st.just({}), st.just({"tensor": good_request().tensor})),
        _enums(),
        _enums(),
        st.booleans(),
        st.booleans(),
    )


def _named(name: str, version: str) -> oip.ModelReadyRequest:
    return oip.ModelReadyRequest(name=name, version=version)


def _parameters() -> st.SearchStrategy[dict[str, oip.InferParameter]]:
    values = st.one_of(
        st.booleans().map(lambda value: oip.InferParameter(bool_param=value)),
        _INT64.map(lambda value: oip.InferParameter(int64_param=value)),
        st.integers(0, 2**64 - 1).map(lambda value: oip.InferParameter(uint64_param=value)),
        st.floats().map(lambda value: oip.InferParameter(double_param=value)),
        _TEXTS.map(lambda value: oip.InferParameter(string_param=value)),
    )
    return st.dictionaries(st.sampled_from(["timeout", "priority", "sequence_id"]) | _TEXTS, values, max_size=3)


def _contents() -> st.SearchStrategy[oip.InferTensorContents]:
    """Numbers one by one, of the right kind or not."""
    size = PIXELS.size
    return st.one_of(
        st.integers(0, 300).map(lambda value: oip.InferTensorContents(uint_contents=[value] * size)),
        st.floats(width=32).map(lambda value: oip.InferTensorContents(fp32_contents=[value] * size)),
        st.lists(_files(), max_size=3).map(lambda files: oip.InferTensorContents(bytes_contents=files)),
        st.lists(_INT64, max_size=4).map(lambda values: oip.InferTensorContents(int64_contents=values)),
    )


def _infer_requests() -> st.SearchStrategy[oip.ModelInferRequest]:
    tensor = oip.ModelInferRequest.InferInputTensor
    output = oip.ModelInferRequest.InferRequestedOutputTensor
    inputs = st.builds(
        lambda name, kind, shape, contents, parameters: tensor(
            name=name, datatype=kind, shape=shape, contents=contents, parameters=parameters
        ),
        st.sampled_from(["images"] * 6 + ["", "pixels"]),
        _mostly(st.sampled_from(["UINT8", "FP32", "BYTES"]), st.sampled_from(["INT64", "FP16", ""])),
        _shapes() | st.integers(-1, 3).map(lambda count: [count]),
        _mostly(st.none(), _contents()),
        _parameters(),
    )
    lengths = st.builds(lambda size, file: size.to_bytes(4, "little") + file, st.integers(0, 2**32 - 1), _files())
    behind_its_length = _files().map(lambda file: len(file).to_bytes(4, "little") + file)
    raw = st.one_of(_pixels(), behind_its_length, lengths)
    outputs = st.sampled_from(["logits", "score", "p_value", "verdict", "label", "saliency", ""])
    return st.builds(
        lambda model, version, name, parameters, inputs, raw, outputs: oip.ModelInferRequest(
            model_name=model,
            model_version=version,
            id=name,
            parameters=parameters,
            inputs=inputs,
            raw_input_contents=raw,
            outputs=[output(name=wanted) for wanted in outputs],
        ),
        st.sampled_from(["isthmus"] * 8 + ["", "other"]),
        st.sampled_from(["", "", "1", "2"]),
        _TEXTS,
        _mostly(st.just({}), _parameters()),
        _mostly(st.lists(inputs, min_size=1, max_size=1), st.lists(inputs, max_size=3)),
        _mostly(st.lists(raw, min_size=1, max_size=1), st.lists(raw, max_size=3)),
        _mostly(st.just([]), st.lists(outputs, max_size=4)),
    )
