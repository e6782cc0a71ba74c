"""An ONNX file as a model of MLServer, which has no runtime for ONNX of its own; runs in MLServer's environment."""

from __future__ import annotations

import asyncio

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):  # type: ignore[misc] # where the project is checked, MLServer is not installed
    """The file at ``parameters.uri``, on ``parameters.extra.threads`` threads; its first output answers."""

    async def load(self) -> bool:
        """Open the file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.settings.parameters.extra["threads"]
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One forward, off the event loop."""
        images = NumpyCodec.decode_input(payload.inputs[0])
        name = self._session.get_inputs()[0].name
        (logits, *_) = await asyncio.to_thread(self._session.run, None, {name: images})
        outputs = [NumpyCodec.encode_output("logits", logits)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
