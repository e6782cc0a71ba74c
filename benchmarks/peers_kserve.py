"""``classifier.onnx`` as a model of KServe's Python server: ``python peers_kserve.py``, in KServe's environment."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server


class OnnxModel(Model):  # type: ignore[misc] # where the project is checked, KServe is not installed
    """The file's first output answers; a forward runs on the event loop, as in KServe's own runtimes."""

    def __init__(self, threads: int) -> None:
        super().__init__("classifier")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession("classifier.onnx", options, providers=["CPUExecutionProvider"])
        self.ready = True

    def predict(self, payload: InferRequest, *_: Any) -> InferResponse:
        """One forward."""
        images = payload.inputs[0].as_numpy()
        (logits, *_) = self._session.run(None, {self._session.get_inputs()[0].name: images})
        output = InferOutput("logits", list(logits.shape), "FP32")
        output.set_data_from_numpy(logits)
        return InferResponse(response_id=payload.id, model_name=self.name, infer_outputs=[output])


class OffTheLoop(OnnxModel):
    """Forwards run on threads, several at once."""

    async def predict(self, payload: InferRequest, *_: Any) -> InferResponse:
        """One forward."""
        return await asyncio.to_thread(super().predict, payload)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[model_server.parser], conflict_handler="resolve")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of one forward")
    parser.add_argument("--off-the-loop", action="store_true", help="run forwards on threads")
    given = parser.parse_args()
    kind = OffTheLoop if given.off_the_loop else OnnxModel
    ModelServer().start([kind(given.threads)])
