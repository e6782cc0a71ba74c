"""Other servers of the Open Inference Protocol, each started in an environment and a process of its own.

An environment is made with Python 3.11: ``python3 -m venv ENV``, and in it ``pip install mlserver onnxruntime
"uvloop<0.22"`` or ``pip install kserve onnxruntime``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc

from isthmus.inference.v2 import inference_pb2 as oip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MODEL: Final = "classifier"
"""What the classifier is called everywhere."""
_START_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.2
_MESSAGE_BYTES: Final = 64 << 20


class SetUp(Protocol):
    """Writes into a folder what a server reads."""

    def __call__(self, environment: Path, folder: Path, threads: int, ports: Sequence[int], /) -> list[str]:
        """Give the command that starts the server there, on the first of three free ports."""


@dataclass(frozen=True)
class Peer:
    """Another server as it is set up once.

    Args:
        package: Whose environment it runs in.
        set_up: How it is told what to serve.
    """

    package: str
    set_up: SetUp


def _mlserver(
    environment: Path,
    folder: Path,
    threads: int,
    ports: Sequence[int],
    *,
    workers: int,
    batch: int,
    wait: float,
) -> list[str]:
    _copy_beside("peers_mlserver.py", folder)
    server = {"host": "127.0.0.1", "debug": False, "parallel_workers": workers}
    server |= dict(zip(("grpc_port", "http_port", "metrics_port"), ports, strict=True))
    server |= {"grpc_max_message_length": _MESSAGE_BYTES}
    model = {
        "name": MODEL,
        "implementation": "peers_mlserver.OnnxModel",
        "max_batch_size": batch,
        "max_batch_time": wait,
        "parameters": {"uri": str(folder / "classifier.onnx"), "extra": {"threads": threads}},
    }
    (folder / "settings.json").write_text(json.dumps(server))
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [str(environment / "bin" / "mlserver"), "start", "."]


def _kserve(environment: Path, folder: Path, threads: int, ports: Sequence[int], *, off_the_loop: bool) -> list[str]:
    _copy_beside("peers_kserve.py", folder)
    grpc_port, http_port, _ = map(str, ports)
    flags = ["--grpc_port", grpc_port, "--http_port", http_port, "--threads", str(threads)]
    return [str(environment / "bin" / "python"), "peers_kserve.py", *flags, *["--off-the-loop"] * off_the_loop]


PEERS: Final[Mapping[str, Peer]] = {
    "MLServer": Peer("mlserver", partial(_mlserver, workers=0, batch=0, wait=0.0)),
    "MLServer, batches": Peer("mlserver", partial(_mlserver, workers=0, batch=32, wait=0.002)),
    "MLServer, batches, worker": Peer("mlserver", partial(_mlserver, workers=1, batch=32, wait=0.002)),
    "KServe": Peer("kserve", partial(_kserve, off_the_loop=False)),
    "KServe, threads": Peer("kserve", partial(_kserve, off_the_loop=True)),
}
"""MLServer with and without batches (of up to 32 requests that wait 2 ms), and with its default, a worker process.
KServe's Python server with forwards on its event loop, as in the runtimes that come with it, and on threads."""


@contextmanager
def started(peer: Peer, environment: Path, classifier: bytes, threads: int) -> Iterator[str]:
    """Another server, ready to answer; gives its address.

    Args:
        peer: Which, and how it is set up.
        environment: Where its package is installed.
        classifier: The ONNX file.
        threads: CPU threads of one forward.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "classifier.onnx").write_bytes(classifier)
        ports = _free_ports(3)
        command = peer.set_up(environment, folder, threads, ports)
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - the environment is the user's own
                command, cwd=folder, stdout=log, stderr=log, env=inherited | {"PYTHONPATH": str(folder)}
            )
        try:
            target = f"127.0.0.1:{ports[0]}"
            if not _becomes_ready(target, process):
                raise SystemExit(f"{command} did not start:\n{(folder / 'log').read_text()[-2000:]}")
            yield target
        finally:
            process.terminate()
            process.wait()


def _copy_beside(module: str, folder: Path) -> None:
    shutil.copy(Path(__file__).with_name(module), folder)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def _becomes_ready(target: str, process: subprocess.Popen[bytes]) -> bool:
    with grpc.insecure_channel(target) as channel:
        method: Any = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelReady", response_deserializer=oip.ModelReadyResponse.FromString
        )
        asked = oip.ModelReadyRequest(name=MODEL).SerializeToString()
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if method(asked, timeout=_POLL_SECONDS).ready:
                    return True
            except grpc.RpcError:  # not up yet, or (MLServer) not loaded yet
                time.sleep(_POLL_SECONDS)
    return False
