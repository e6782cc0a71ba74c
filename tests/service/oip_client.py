"""An unmodified tritonclient, in a process of its own: ``python oip_client.py TARGET IMAGES.npy``; prints JSON."""

from __future__ import annotations

import json
import queue
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _input(images: NDArray[Any], kind: str) -> triton.InferInput:
    tensor = triton.InferInput("images", list(images.shape), kind)
    tensor.set_data_from_numpy(images)
    return tensor


def _plain(result: triton.InferResult) -> dict[str, Any]:
    names = [output.name for output in result.get_response().outputs]
    found = {name: result.as_numpy(name) for name in names}
    return {
        name: [text.decode() for text in values] if values.dtype == object else values.tolist()
        for name, values in found.items()
    }


def main(target: str, file: str) -> None:
    """Ask everything."""
    pixels = np.load(file, allow_pickle=False)
    client = triton.InferenceServerClient(target)
    told: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready("isthmus"),
        "server": client.get_server_metadata(as_json=True),
        "model": client.get_model_metadata("isthmus", as_json=True),
        "uint8": _plain(client.infer("isthmus", [_input(pixels, "UINT8")], request_id="7")),
    }
    floats = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
    wanted = [triton.InferRequestedOutput("p_value"), triton.InferRequestedOutput("label")]
    answer = client.infer("isthmus", [_input(floats, "FP32")], outputs=wanted, client_timeout=20, timeout=10_000_000)
    told["float"] = _plain(answer)
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for number, images in enumerate([pixels[:1], pixels[:2, :3], pixels[1:3]]):
        client.async_stream_infer("isthmus", [_input(np.ascontiguousarray(images), "UINT8")], request_id=str(number))
    told["stream"] = []
    for _ in range(3):
        result, error = answers.get(timeout=20)
        told["stream"].append(str(error) if error else [result.get_response().id, _plain(result)["score"]])
    client.stop_stream()
    told["errors"] = []
    for name, tensors in (("other", [_input(pixels, "UINT8")]), ("isthmus", [_input(pixels[:, :2].copy(), "UINT8")])):
        try:
            client.infer(name, tensors)
        except InferenceServerException as error:
            told["errors"].append(str(error))
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
