"""A server of the Open Inference Protocol around ONNX Runtime, which can be told to misbehave.

In a process of its own: ``python -m tests.support.oip_server MODEL.onnx [--port N] [--name NAME] [--delay SECONDS]``;
it prints its port.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import grpc
import numpy as np
import onnxruntime

from isthmus.inference.v2 import inference_pb2 as oip

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE = "inference.GRPCInferenceService"
_DATATYPES = {"tensor(float)": "FP32", "tensor(float16)": "FP16", "tensor(uint8)": "UINT8"}
_DTYPES = {"FP32": np.float32, "FP16": np.float16, "UINT8": np.uint8}


class OipServer:
    """Serves one model, as long as the ``with`` block lasts.

    Args:
        model: Path of an ONNX file.
        port: On this machine's loopback; 0 takes any free one.
        name: Of the model.
        delay: As the attribute.
        credentials: Of TLS; None speaks plain text.

    Attributes:
        batches: Images per call so far.
        requests: The calls' requests, the last few.
        metadata: The metadata of the calls so far.
        delay: Seconds a call takes at least.
        failures: Statuses of the next calls, before they are answered again.
        alter: Does something to every answer.
        tell: Does something to what the model says of itself.
        ready: Whether the model says it is.
    """

    def __init__(
        self,
        model: Path,
        *,
        port: int = 0,
        name: str = "digits",
        delay: float = 0.0,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._name = name
        self.batches: list[int] = []
        self.requests: deque[oip.ModelInferRequest] = deque(maxlen=4)
        self.metadata: list[dict[str, str | bytes]] = []
        self.delay = delay
        self.failures: deque[tuple[grpc.StatusCode, str]] = deque()
        self.alter: Callable[[oip.ModelInferResponse], object] = lambda _: None
        self.tell: Callable[[oip.ModelMetadataResponse], object] = lambda _: None
        self.ready = True
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers()),))
        address = f"127.0.0.1:{port}"
        add = self._server.add_insecure_port
        self.port = add(address) if credentials is None else self._server.add_secure_port(address, credentials)
        self.target = f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop at once."""
        self._server.stop(None).wait()

    def _handlers(self) -> dict[str, Any]:
        def unary(behaviour: Any, request: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(behaviour, request.FromString, lambda m: m.SerializeToString())

        return {
            "ServerReady": unary(lambda _, __: oip.ServerReadyResponse(ready=True), oip.ServerReadyRequest),
            "ModelReady": unary(self._model_ready, oip.ModelReadyRequest),
            "ModelMetadata": unary(self._model_metadata, oip.ModelMetadataRequest),
            "ModelInfer": unary(self._model_infer, oip.ModelInferRequest),
        }

    def _check_name(self, name: str, context: grpc.ServicerContext) -> None:
        if name != self._name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' is not found")

    def _model_ready(self, request: oip.ModelReadyRequest, context: Any) -> oip.ModelReadyResponse:
        self._check_name(request.name, context)
        return oip.ModelReadyResponse(ready=self.ready)

    def _model_metadata(self, request: oip.ModelMetadataRequest, context: Any) -> oip.ModelMetadataResponse:
        self._check_name(request.name, context)
        tensor = oip.ModelMetadataResponse.TensorMetadata

        def told(entry: Any) -> oip.ModelMetadataResponse.TensorMetadata:
            shape = [size if isinstance(size, int) else -1 for size in entry.shape]
            return tensor(name=entry.name, datatype=_DATATYPES[entry.type], shape=shape)

        response = oip.ModelMetadataResponse(
            name=self._name,
            inputs=[told(entry) for entry in self._session.get_inputs()],
            outputs=[told(entry) for entry in self._session.get_outputs()],
        )
        self.tell(response)
        return response

    def _model_infer(self, request: oip.ModelInferRequest, context: Any) -> oip.ModelInferResponse:
        self._check_name(request.model_name, context)
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.batches.append(request.inputs[0].shape[0])
            self.requests.append(request)
            self.metadata.append(dict(context.invocation_metadata()))
            failure = self.failures.popleft() if self.failures else None
        try:
            if failure is not None:
                context.abort(*failure)
            time.sleep(self.delay)
            return self._answer(request)
        finally:
            with self._lock:
                self.at_once -= 1

    def _answer(self, request: oip.ModelInferRequest) -> oip.ModelInferResponse:
        given = request.inputs[0]
        images = np.frombuffer(request.raw_input_contents[0], _DTYPES[given.datatype]).reshape(tuple(given.shape))
        names = [output.name for output in request.outputs]
        response = oip.ModelInferResponse(model_name=self._name, id=request.id)
        for name, values in zip(names, self._session.run(names, {given.name: images}), strict=True):
            response.outputs.add(name=name, datatype="FP32", shape=values.shape)
            response.raw_output_contents.append(values.astype("<f4").tobytes())
        self.alter(response)
        return response


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--name", default="digits")
    parser.add_argument("--delay", type=float, default=0.0)
    given = parser.parse_args()
    with OipServer(given.model, port=given.port, name=given.name, delay=given.delay) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
