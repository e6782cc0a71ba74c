"""The guarded classifier behind another server: a client of the Open Inference Protocol, as Triton and KServe speak it.

What it answers is not trusted to be what was asked for: names, datatypes, shapes and sizes are checked.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import grpc
import numpy as np

from detector.classifiers.address import RemoteAddress, RemoteModel
from detector.classifiers.base import PixelType
from detector.classifiers.remote_calls import DeclaredModel
from detector.errors import (
    ClassifierError,
    IsthmusError,
    LimitExceededError,
    OverloadedError,
    UpstreamUnavailableError,
)
from isthmus.inference.v2 import inference_pb2 as oip
from service.health import INFERENCE_SERVICE
from service.status import from_rpc_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.access import Access
from service.connections import BALANCED

DEFAULT_BATCH: Final = 32
MAX_REPLY_BYTES: Final = 16 << 20
_SHOWN: Final = 300
_UNLIMITED: Final = -1
_MATRIX: Final = 2
_RECONNECT_MILLISECONDS: Final = (100, 2000)

_DATATYPES: Final = {PixelType.FLOAT32: "FP32", PixelType.FLOAT16: "FP16", PixelType.UINT8: "UINT8"}
_PIXEL_TYPES: Final = {name: dtype for dtype, name in _DATATYPES.items()}
_FLOATS: Final[dict[str, np.dtype[Any]]] = {"FP16": np.dtype("<f2"), "FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
_TYPED: Final = {"FP32": "fp32_contents", "FP64": "fp64_contents"}
# Answers that another try may turn out better than. UNKNOWN and INTERNAL are a server's own failures on this input.
_TRANSIENT: Final = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.CANCELLED,
}


class UpstreamServer:
    """A connection to a server of the protocol. Safe to share between threads; `close` it.

    Args:
        target: ``host:port``, or any gRPC name; calls take turns over all addresses that a name stands for.
        access: TLS and token.
    """

    def __init__(self, target: str, access: Access) -> None:
        self.target, self._metadata = target, access.metadata
        self._channel = access.channel(grpc, target, _channel_options())

    def ask(self, method: str, request: Any, response: type[Any], *, timeout: float) -> Any:
        """Call a method once.

        Raises:
            UpstreamUnavailableError: There was no answer, and there may be one later.
            ClassifierError: It answered with an error.
        """
        call: Any = self._channel.unary_unary(
            f"/{INFERENCE_SERVICE}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        try:
            return call(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise _typed(error, f"{self.target}, {method}") from error
        except ValueError as error:  # what a closed channel raises
            raise UpstreamUnavailableError(f"{self.target}: the connection is closed", retry_after=0) from error

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


class UpstreamEndpoint:
    """One model of a server; implements `detector.classifiers.remote.Endpoint`.

    Args:
        server: Where it is.
        model: Which it is.
    """

    def __init__(self, server: UpstreamServer, model: RemoteModel) -> None:
        self._server, self._model = server, model
        self.description = model.url

    def infer(self, batch: NDArray[Any], *, timeout: float) -> NDArray[Any]:
        """Ask once; see `Endpoint`."""
        datatype = _DATATYPES[PixelType(batch.dtype.name)]
        tensor = oip.ModelInferRequest.InferInputTensor(name=self._model.input, datatype=datatype, shape=batch.shape)
        request = oip.ModelInferRequest(
            model_name=self._model.model,
            model_version=self._model.version,
            inputs=[tensor],
            outputs=[oip.ModelInferRequest.InferRequestedOutputTensor(name=self._model.output)],
            raw_input_contents=[batch.astype(batch.dtype.newbyteorder("<"), copy=False).tobytes()],
        )
        response = self._server.ask("ModelInfer", request, oip.ModelInferResponse, timeout=timeout)
        return read_rows(response, self._model.output, len(batch), name=self.description)

    def close(self) -> None:
        """Close the connection."""
        self._server.close()


def read_rows(response: oip.ModelInferResponse, output: str, count: int, *, name: str) -> NDArray[Any]:
    """One output of a response: floats (count, ...), little-endian.

    Args:
        response: From a server that may be wrong.
        output: The output's name.
        count: Images that went in.
        name: What to call the server in errors.

    Raises:
        ClassifierError: It is not there, or its datatype, shape or size is wrong.
    """
    found = [at for at, tensor in enumerate(response.outputs) if tensor.name == output]
    if len(found) != 1:
        names = ", ".join(repr(_cut(tensor.name)) for tensor in response.outputs) or "none"
        raise ClassifierError(f"{name}: answered with outputs {_cut(names)}, where one '{output}' was asked for")
    tensor = response.outputs[found[0]]
    if tensor.datatype not in _FLOATS:
        raise ClassifierError(
            f"{name}: '{output}' has the datatype {_cut(tensor.datatype)!r}; {', '.join(_FLOATS)} can be read"
        )
    shape = tuple(tensor.shape)
    if len(shape) < _MATRIX or shape[0] != count or min(shape) < 1:
        raise ClassifierError(f"{name}: '{output}' for {count} images has the shape {_cut(str(list(shape)))}")
    values = _numbers(response, found[0], name)
    if values.size != math.prod(shape):
        raise ClassifierError(f"{name}: '{output}' holds {values.size} numbers; its shape makes {math.prod(shape)}")
    return values.reshape(shape)


def discover(address: RemoteAddress, access: Access, *, timeout: float) -> DeclaredModel:
    """Find a model, and what it says of its input and outputs.

    Args:
        address: Where, and what is stated about it.
        access: TLS and token.
        timeout: Seconds a call may take.

    Raises:
        UpstreamUnavailableError: The server can't be reached, or it or the model is not ready.
        ClassifierError: There is no such model, or it takes no images, or what is not stated can't be told.
    """
    if not address.model:
        raise ClassifierError(f"{address.target}: the address names no model, as in grpc://{address.target}/model")
    server = UpstreamServer(address.target, access)
    try:
        return _declared(server, address, _metadata(server, address.model, address.version, timeout))
    except BaseException:
        server.close()
        raise


def connect(model: RemoteModel, access: Access, *, timeout: float) -> UpstreamEndpoint:
    """Connect to a model that is known, and see that it is there and has the input and the output.

    Raises:
        UpstreamUnavailableError: The server can't be reached, or it or the model is not ready.
        ClassifierError: There is no such model, input or output.
    """
    server = UpstreamServer(model.target, access)
    try:
        metadata = _metadata(server, model.model, model.version, timeout)
        _the_one("input", [tensor.name for tensor in metadata.inputs], model.input, model.url)
        _the_one("output", [tensor.name for tensor in metadata.outputs], model.output, model.url)
    except BaseException:
        server.close()
        raise
    return UpstreamEndpoint(server, model)


def _metadata(server: UpstreamServer, model: str, version: str, timeout: float) -> oip.ModelMetadataResponse:
    """What a model says of itself, after it said that it is ready."""
    if not server.ask("ServerReady", oip.ServerReadyRequest(), oip.ServerReadyResponse, timeout=timeout).ready:
        raise UpstreamUnavailableError(f"{server.target}: the server is not ready", retry_after=0)
    asked = oip.ModelReadyRequest(name=model, version=version)
    if not server.ask("ModelReady", asked, oip.ModelReadyResponse, timeout=timeout).ready:
        raise UpstreamUnavailableError(f"{server.target}: the model {model!r} is not ready", retry_after=0)
    request = oip.ModelMetadataRequest(name=model, version=version)
    found: oip.ModelMetadataResponse = server.ask("ModelMetadata", request, oip.ModelMetadataResponse, timeout=timeout)
    return found


def _declared(server: UpstreamServer, address: RemoteAddress, metadata: oip.ModelMetadataResponse) -> DeclaredModel:
    where = f"{address.target}/{address.model}"
    inputs = {tensor.name: tensor for tensor in metadata.inputs}
    outputs = {tensor.name: tensor for tensor in metadata.outputs}
    taken = inputs[_the_one("input", list(inputs), address.input, where)]
    likely = [name for name, tensor in outputs.items() if _is_matrix(tensor)] if address.output is None else outputs
    output = _the_one("output", list(likely), address.output, where)
    dtype = address.dtype or _PIXEL_TYPES.get(taken.datatype)
    if dtype is None:
        raise ClassifierError(
            f"{where}: the input '{taken.name}' is {_cut(taken.datatype)}; images are {', '.join(_PIXEL_TYPES)}"
        )
    shape = tuple(size if size > 0 else None for size in taken.shape)
    fixed = shape[0] if shape else None
    if fixed is not None and address.batch not in {None, fixed}:
        raise ClassifierError(f"{where}: takes exactly {fixed} images at once, not {address.batch}")
    model = RemoteModel(
        target=address.target,
        tls=address.tls,
        model=address.model,
        version=address.version,
        input=taken.name,
        output=output,
        batch=fixed or address.batch or DEFAULT_BATCH,
        fixed_batch=fixed is not None,
    )
    any_batch = fixed is None and address.batch is None
    return DeclaredModel(UpstreamEndpoint(server, model), model, shape, dtype, any_batch)


def _is_matrix(tensor: oip.ModelMetadataResponse.TensorMetadata) -> bool:
    """Whether an output can hold one row of numbers per image."""
    return tensor.datatype in _FLOATS and len(tensor.shape) == _MATRIX


def _the_one(kind: str, names: list[str], wanted: str | None, where: str) -> str:
    """The input or output that is wanted; the only one, where none is named."""
    if wanted is not None and wanted not in names:
        raise ClassifierError(f"{where}: has no {kind} '{wanted}'; it has {_cut(', '.join(names)) or 'none'}")
    if wanted is None and len(names) != 1:
        found = _cut(", ".join(names)) or "none"
        raise ClassifierError(f"{where}: which {kind} is meant? {found}; name it in the address: ?{kind}=NAME")
    return wanted or names[0]


def _numbers(response: oip.ModelInferResponse, at: int, name: str) -> NDArray[Any]:
    """The elements of an output: raw, or number by number."""
    tensor = response.outputs[at]
    dtype, raw = _FLOATS[tensor.datatype], response.raw_output_contents
    if not raw:
        typed = getattr(tensor.contents, _TYPED[tensor.datatype]) if tensor.datatype in _TYPED else ()
        return np.array(typed, dtype)
    if len(raw) != len(response.outputs):
        raise ClassifierError(f"{name}: answered with {len(raw)} raw contents for {len(response.outputs)} outputs")
    if len(raw[at]) % dtype.itemsize:
        raise ClassifierError(f"{name}: answered with {len(raw[at])} bytes of {tensor.datatype}")
    return np.frombuffer(raw[at], dtype)


def _typed(error: grpc.RpcError, where: str) -> IsthmusError:
    """The error behind a failed call: whether another try makes sense, and when."""
    call: Any = error  # every RpcError a channel raises is also a Call; grpc's types don't say so
    code, found = call.code(), from_rpc_error(error)
    text = f"{where}: {code.name}: {_cut(call.details() or '')}"
    if isinstance(found, LimitExceededError):
        return ClassifierError(f"{text} (fewer images at once may pass: batch in the address, or upstream_batch)")
    if code in _TRANSIENT:
        soon = found.retry_after if isinstance(found, OverloadedError | UpstreamUnavailableError) else 0
        return UpstreamUnavailableError(text, retry_after=soon)
    return ClassifierError(text)


def _cut(text: str) -> str:
    """The first line of what a stranger says, not too long."""
    line = (text.splitlines() or [""])[0]
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


def _channel_options() -> list[tuple[str, Any]]:
    least, most = _RECONNECT_MILLISECONDS
    return [
        ("grpc.max_receive_message_length", MAX_REPLY_BYTES),
        ("grpc.max_send_message_length", _UNLIMITED),
        # gRPC itself waits up to two minutes before it tries to connect again: longer than any breaker's rest.
        ("grpc.initial_reconnect_backoff_ms", least),
        ("grpc.min_reconnect_backoff_ms", least),
        ("grpc.max_reconnect_backoff_ms", most),
        BALANCED,
    ]
