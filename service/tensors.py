"""Tensors of the Open Inference Protocol: images out of requests, evidence into responses."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np

from detector.classifiers.base import OutputKind
from detector.errors import InvalidInputError
from detector.verdicts import Verdict
from isthmus.inference.v2 import inference_pb2 as oip
from isthmus.v1 import detector_pb2 as pb
from service.batching import AnsweredBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from detector import Detection
    from detector.classifiers.base import Float32Array
    from detector.errors import FieldError
    from service.ports import LoadedBundle

Part = TypeVar("Part", bound=AnsweredBatch)

IMAGES: Final = "images"
LOGITS: Final = "logits"
LABEL: Final = "label"
_LEVELS: Final = {verdict: level for level, verdict in enumerate(Verdict)}
_LENGTH: Final = struct.Struct("<I")
_BYTES: Final = "BYTES"
_MAX_BYTE: Final = 255


@dataclass(frozen=True)
class _Pixels:
    """How pixels of a datatype are given."""

    kind: int
    dtype: np.dtype[Any]
    typed: Callable[[oip.InferTensorContents], Any]


_PIXELS: Final = {
    "UINT8": _Pixels(pb.PIXEL_TYPE_UINT8, np.dtype("u1"), lambda contents: contents.uint_contents),
    "FP32": _Pixels(pb.PIXEL_TYPE_FLOAT32, np.dtype("<f4"), lambda contents: contents.fp32_contents),
}


@dataclass(frozen=True)
class OutputTensor(Generic[Part]):
    """One output: what it is called and how it is read from answers.

    Args:
        name: Of the tensor.
        datatype: Of the protocol.
        sizes: Of one image's part, by the number of classes.
        read: Gives little-endian numbers, or texts, of some images.
    """

    name: str
    datatype: str
    sizes: Callable[[int], tuple[int, ...]]
    read: Callable[[Part], NDArray[Any] | Sequence[str]]


def _scalar(
    name: str, datatype: str, read: Callable[[Detection], NDArray[Any] | Sequence[str]]
) -> OutputTensor[Detection]:
    return OutputTensor(name, datatype, lambda _: (), read)


def _per_class(classes: int) -> tuple[int, ...]:
    return (classes,)


# The names and meanings are those of an exported graph's outputs; see `detector.engine.fusing.fuse`.
OUTPUTS: Final[tuple[OutputTensor[Detection], ...]] = (
    OutputTensor(LOGITS, "FP32", _per_class, lambda found: found.logits.astype("<f4")),
    _scalar("score", "FP32", lambda found: found.scores.astype("<f4")),
    _scalar("p_value", "FP64", lambda found: found.p_values.astype("<f8")),
    _scalar("verdict", "INT64", lambda found: np.array([_LEVELS[verdict] for verdict in found.verdicts], "<i8")),
    _scalar("barrier_height", "FP32", lambda found: found.barrier_heights.astype("<f4")),
    _scalar("barrier_gap", "FP32", lambda found: found.barrier_gaps.astype("<f4")),
    _scalar("stratum", "INT64", lambda found: found.strata.astype("<i8")),
    _scalar(LABEL, _BYTES, lambda found: found.labels),
)


# What the classifier has under our name.
_LOGITS: Final[OutputTensor[Float32Array]] = OutputTensor(
    LOGITS, "FP32", _per_class, lambda logits: logits.astype("<f4")
)


def classifier_outputs_of(bundle: LoadedBundle) -> tuple[OutputTensor[Float32Array], ...]:
    """Those of a classifier alone: what it puts out under its own name, and its logits."""
    if bundle.output_name in {output.name for output in OUTPUTS}:
        return (_LOGITS,)
    return (
        OutputTensor(bundle.output_name, "FP32", _per_class, partial(_put_out, bundle.manifest.output_kind)),
        _LOGITS,
    )


def outputs_of(bundle: LoadedBundle) -> tuple[OutputTensor[Detection], ...]:
    """Those of a guard: what its classifier puts out under its own name, and what all guards have."""
    *own, _ = classifier_outputs_of(bundle)
    return (*(OutputTensor(o.name, o.datatype, o.sizes, partial(_from_logits, o.read)) for o in own), *OUTPUTS)


def _put_out(kind: OutputKind, logits: Float32Array) -> NDArray[Any]:
    """What a classifier put out, from the logits made of it."""
    return (np.exp(logits) if kind is OutputKind.PROBABILITIES else logits).astype("<f4")


def _from_logits(
    read: Callable[[Float32Array], NDArray[Any] | Sequence[str]], found: Detection
) -> NDArray[Any] | Sequence[str]:
    return read(found.logits)


def score_request(request: oip.ModelInferRequest, shape: tuple[int, int, int]) -> pb.ScoreRequest:
    """The images of a request, as the native API takes them.

    Args:
        request: From anyone; one input, `IMAGES`: UINT8 or FP32 pixels (N, height, width, channels) or (N, channels,
            height, width), or BYTES (N), image files.
        shape: What the classifier takes: (channels, height, width).

    Raises:
        InvalidInputError: It has other inputs, or their data does not fit.
    """
    if [tensor.name for tensor in request.inputs] != [IMAGES]:
        names = ", ".join(repr(tensor.name) for tensor in request.inputs) or "none"
        raise InvalidInputError(f"exactly one input, '{IMAGES}', is expected, not {names}", field="inputs")
    (tensor,) = request.inputs
    if request.raw_input_contents and tensor.HasField("contents"):
        raise InvalidInputError("must not be set beside raw_input_contents", field="inputs[0].contents")
    if len(request.raw_input_contents) > 1:
        raise InvalidInputError(
            f"has {len(request.raw_input_contents)} entries for 1 input", field="raw_input_contents"
        )
    if not request.raw_input_contents and not tensor.HasField("contents"):
        raise InvalidInputError("is missing; so is inputs[0].contents", field="raw_input_contents")
    if tensor.datatype == _BYTES:
        return pb.ScoreRequest(encoded=pb.EncodedImages(images=_files(request)))
    if tensor.datatype not in _PIXELS:
        raise InvalidInputError(
            f"must be UINT8 (0..255), FP32 (0..1) or BYTES (image files), not {tensor.datatype!r}",
            field="inputs[0].datatype",
        )
    layout = _layout(tuple(tensor.shape), shape)
    data = _data(request, _PIXELS[tensor.datatype])
    kind: Any = _PIXELS[tensor.datatype].kind
    return pb.ScoreRequest(tensor=pb.ImageTensor(data=data, pixel_type=kind, shape=tensor.shape, layout=layout))


def renamed(error: FieldError) -> FieldError:
    """An error about the native request, in the terms of this protocol."""
    for native in ("encoded.images", "tensor"):
        if error.field.startswith(native):
            return error.renamed(IMAGES + error.field.removeprefix(native))
    return error


def wanted_outputs(
    request: oip.ModelInferRequest, offered: tuple[OutputTensor[Part], ...]
) -> tuple[OutputTensor[Part], ...]:
    """The outputs a request asks for, of those the model has; all if it names none.

    Raises:
        InvalidInputError: It names one that there is not.
    """
    if not request.outputs:
        return offered
    by_name = {output.name: output for output in offered}
    for at, output in enumerate(request.outputs):
        if output.name not in by_name:
            raise InvalidInputError(
                f"there is no output {output.name!r}; there are {', '.join(by_name)}", field=f"outputs[{at}].name"
            )
    return tuple(by_name[output.name] for output in request.outputs)


def add_outputs(
    response: oip.ModelInferResponse, outputs: Iterable[OutputTensor[Part]], parts: Sequence[Part], classes: int
) -> None:
    """Put the answers to all images, in any number of parts, into a response."""
    count = sum(len(part) for part in parts)
    for output in outputs:
        response.outputs.add(name=output.name, datatype=output.datatype, shape=(count, *output.sizes(classes)))
        response.raw_output_contents.append(b"".join(_raw(output.read(part)) for part in parts))


def model_metadata(
    bundle: LoadedBundle, outputs: Iterable[OutputTensor[Part]], *, name: str, version: str
) -> oip.ModelMetadataResponse:
    """What goes in and comes out, and which bundle it is."""
    manifest, tensor = bundle.manifest, oip.ModelMetadataResponse.TensorMetadata
    classes = len(manifest.labels)
    return oip.ModelMetadataResponse(
        name=name,
        versions=[version],
        platform="isthmus",
        inputs=[
            tensor(
                name=IMAGES,
                datatype="UINT8",
                shape=(-1, manifest.spec.height, manifest.spec.width, manifest.spec.channels),
            )
        ],
        outputs=[tensor(name=o.name, datatype=o.datatype, shape=(-1, *o.sizes(classes))) for o in outputs],
        properties={
            "bundle_digest": bundle.digest,
            "forwards_per_image": str(manifest.plan.forwards_per_image),
            "suspect_rate": repr(manifest.rates.suspect),
            "adversarial_rate": repr(manifest.rates.adversarial),
        },
    )


def _layout(found: tuple[int, ...], shape: tuple[int, int, int]) -> pb.Layout:
    channels, height, width = shape
    layouts: dict[tuple[int, ...], pb.Layout] = {
        (channels, height, width): pb.LAYOUT_NCHW,
        (height, width, channels): pb.LAYOUT_NHWC,
    }
    if found[1:] not in layouts:
        raise InvalidInputError(
            f"must be [N, {height}, {width}, {channels}] or [N, {channels}, {height}, {width}], not {list(found)}",
            field="inputs[0].shape",
        )
    return layouts[found[1:]]


def _data(request: oip.ModelInferRequest, pixels: _Pixels) -> bytes:
    """Little-endian numbers, as many as the shape says."""
    (tensor,) = request.inputs
    raw = request.raw_input_contents[0] if request.raw_input_contents else _typed(tensor.contents, pixels)
    expected = math.prod(tensor.shape) * pixels.dtype.itemsize
    if len(raw) != expected:
        field = "raw_input_contents[0]" if request.raw_input_contents else "inputs[0].contents"
        raise InvalidInputError(f"has {len(raw)} bytes; shape and datatype make {expected}", field=field)
    return raw


def _typed(contents: oip.InferTensorContents, pixels: _Pixels) -> bytes:
    values = np.array(pixels.typed(contents))
    if pixels.dtype.kind == "u" and values.size and values.max() > _MAX_BYTE:
        raise InvalidInputError(f"UINT8 ends at {_MAX_BYTE}, found {values.max()}", field="inputs[0].contents")
    return values.astype(pixels.dtype).tobytes()


def _files(request: oip.ModelInferRequest) -> list[bytes]:
    (tensor,) = request.inputs
    if len(tensor.shape) != 1:
        raise InvalidInputError(f"of BYTES must be [N], not {list(tensor.shape)}", field="inputs[0].shape")
    files = (
        split_elements(request.raw_input_contents[0])
        if request.raw_input_contents
        else list(tensor.contents.bytes_contents)
    )
    if len(files) != tensor.shape[0]:
        raise InvalidInputError(f"says {tensor.shape[0]} images, there are {len(files)}", field="inputs[0].shape")
    return files


def split_elements(raw: bytes) -> list[bytes]:
    """Elements that each stand behind their length, as those of BYTES do."""
    files: list[bytes] = []
    at = 0
    while at < len(raw):
        start = at + _LENGTH.size
        end = start + (_LENGTH.unpack_from(raw, at)[0] if start <= len(raw) else 0)
        if not start <= end <= len(raw):
            raise InvalidInputError(
                f"ends within element {len(files)}: each stands behind its length, 4 bytes, little-endian",
                field="raw_input_contents[0]",
            )
        files.append(raw[start:end])
        at = end
    return files


def _raw(values: NDArray[Any] | Sequence[str]) -> bytes:
    if isinstance(values, np.ndarray):
        return values.tobytes()
    texts = (value.encode() for value in values)
    return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
