"""The classifier alone through this server and through others: ``python -m benchmarks.servers BUNDLE --mlserver ENV``.

All get the same ONNX file (the bundle's classifier without taps), as many threads for it, and from the same client the
same tensors: raw FP32 by the Open Inference Protocol. They take turns, so what slows the machine slows all, and must
give the same logits. MLServer and KServe's Python server are compared with where an environment with them is given;
`benchmarks.peers` says how one is made, and how they are set up.

Each forward may take all cores unless told otherwise: the others make several at once whatever their threads, so fewer
would bind this server alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.peers import MODEL, PEERS, started
from benchmarks.serving import load
from detector.bundle import read_bundle
from detector.classifiers.taps import remove_taps
from detector.cli.demo_server import ServerProcess
from detector.cli.stopping import terminated_like_interrupted
from isthmus.inference.v2 import inference_pb2 as oip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from detector.bundle import Bundle

OURS: Final = "isthmus"
LOADS: Final = ((1, 1), (1, 8), (1, 32), (32, 1), (32, 4))
"""Images per request, and requests under way."""
_METHOD: Final = "/inference.GRPCInferenceService/ModelInfer"


def request(model: str, name: str, images: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    """A request for the logits of images."""
    tensor = oip.ModelInferRequest.InferInputTensor(name=name, datatype="FP32", shape=images.shape)
    wanted = oip.ModelInferRequest.InferRequestedOutputTensor(name="logits")
    asked = oip.ModelInferRequest(model_name=model, inputs=[tensor], outputs=[wanted])
    asked.raw_input_contents.append(np.ascontiguousarray(images, "<f4").tobytes())
    return asked.SerializeToString()


def logits(target: str, message: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What a server answers."""
    with grpc.insecure_channel(target) as channel:
        method: Any = channel.unary_unary(_METHOD, response_deserializer=oip.ModelInferResponse.FromString)
        reply = method(message, timeout=60)
    return np.frombuffer(reply.raw_output_contents[0], "<f4").reshape(tuple(reply.outputs[0].shape))


@terminated_like_interrupted()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="the bundle folder")
    for package in sorted({peer.package for peer in PEERS.values()}):
        parser.add_argument(f"--{package}", type=Path, metavar="ENV", help=f"an environment with {package}")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="CPU threads of one forward, in every server (all cores)"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    bundle = read_bundle(given.bundle)
    classifier = remove_taps(bundle.graph)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "settings.toml").write_text(f'classifier_model = "{MODEL}"')
        flags = ("--threads", str(given.threads), "--config", str(folder / "settings.toml"))
        ours = ServerProcess(given.bundle, folder / "log", port=0, metrics_port=0, flags=flags)
        targets = {OURS: stack.enter_context(ours).address}
        for name, peer in PEERS.items():
            if environment := getattr(given, peer.package):
                targets[name] = stack.enter_context(started(peer, environment, classifier, given.threads))
        table = _table()
        contest = Contest(targets, given.seconds, given.rounds)
        for images, callers in LOADS:
            for row in _compare(contest, messages(bundle, folder, images, targets), images, callers):
                table.add_row(*row)
    console = Console()
    console.print(f"the classifier alone, {given.threads} threads")
    console.print(table)


@dataclass(frozen=True)
class Contest:
    """Servers that are up, and how long each load takes, so many times."""

    targets: Mapping[str, str]
    seconds: float
    rounds: int


def messages(bundle: Bundle, folder: Path, images: int, servers: Iterable[str]) -> dict[str, Path]:
    """Files with the request for each server."""
    pixels = np.random.default_rng(0).random((images, *bundle.manifest.spec.shape), np.float32)
    # A peer gets what the classifier's graph takes, this server what its own inputs are: values in [0, 1].
    own, theirs = folder / "own", folder / "theirs"
    own.write_bytes(request(MODEL, "images", pixels))
    theirs.write_bytes(request(MODEL, "images", bundle.manifest.spec.encode(pixels)))
    return {name: own if name == OURS else theirs for name in servers}


def _compare(contest: Contest, asked: Mapping[str, Path], images: int, callers: int) -> Iterator[tuple[str, ...]]:
    """Ask all servers for the same, in turns; the rows of the table."""
    targets = contest.targets
    answers = [logits(target, asked[name].read_bytes()) for name, target in targets.items()]
    for answer in answers:
        np.testing.assert_allclose(answer, answers[0], rtol=1e-3, atol=1e-3)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in targets}
    for _ in range(contest.rounds):
        for name, target in targets.items():
            further = ("--method", _METHOD, "--message", str(asked[name]))
            found[name].append(load(target, images, callers, contest.seconds, *further))
    for name, runs in found.items():
        speed, middle, tail = (
            statistics.median(run[key] for run in runs) for key in ("images_per_second", "p50", "p99")
        )
        ratios = [
            statistics.median(own[key] / other[key] for own, other in zip(found[OURS], runs, strict=True))
            for key in ("images_per_second", "p99")
        ]
        times = f"{1000 * middle:.1f}", f"{1000 * tail:.1f}"
        yield str(images), str(callers), name, f"{speed:.0f}", *times, *(f"{ratio:.2f}" for ratio in ratios)


def _table() -> Table:
    table = Table("images", "under way")
    table.add_column("server", no_wrap=True)
    for name in ("images/s", "p50 ms", "p99 ms", "our images/s : its", "our p99 : its"):
        table.add_column(name, justify="right")
    return table


if __name__ == "__main__":
    main()
