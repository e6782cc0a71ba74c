"""`isthmus demo`: the whole way on scikit-learn's digits, from training a classifier to a server under attack."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.errors import clear_errors
from detector.cli.progress import Bars
from detector.cli.stopping import terminated_like_interrupted
from detector.errors import ServiceFailedError

if TYPE_CHECKING:
    from rich.console import Console

    from detector.cli.demo_digits import DemoDetector
    from detector.cli.demo_server import ServerProcess

_GRPC_PORT, _METRICS_PORT = 50051, 9090


def demo(
    out: Annotated[Path, typer.Option(help="The folder for everything it makes.")] = Path("demo-output"),
    keep_serving: Annotated[
        bool, typer.Option("--keep-serving", help="Leave the server running, until Ctrl-C, and say how to call it.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(help="gRPC port; any free one unless --keep-serving: then 50051.", show_default=False)
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(help="Metrics port; any free one unless --keep-serving: then 9090.", show_default=False),
    ] = None,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Take the bundle of an earlier demo, if it is whole and still fits.")
    ] = False,
) -> None:
    """See it work, on nothing but scikit-learn's digits: train, calibrate, serve, attack, look.

    Trains a small classifier, calibrates a detector on images held out from it, starts the real server, sends it clean,
    noisy and attacked digits, and shows what it answers. Takes about half a minute.
    """
    with clear_errors(), terminated_like_interrupted():
        from rich.console import Console

        from detector.cli.demo_digits import build_demo
        from detector.cli.demo_server import ServerProcess

        console = Console(highlight=False, soft_wrap=True)
        with Bars() as bars:
            built = build_demo(out, reuse=reuse, progress=bars)
        console.print(f"classifier  {built.accuracy:.1%} of {len(built.samples[0].pixels)} unseen digits right")
        console.print(f"bundle      {built.bundle}")
        known = keep_serving  # whoever calls it by hand wants ports that are easy to remember
        port = port if port is not None else _GRPC_PORT * known
        metrics_port = metrics_port if metrics_port is not None else _METRICS_PORT * known
        with ServerProcess(built.bundle, out / "server.log", port=port, metrics_port=metrics_port) as server:
            console.print(f"server      {server.address}, metrics on {server.metrics_url}\n")
            _attack(built, server, out, console)
            if keep_serving:
                _keep_serving(server, out, console)
            _stop(server, console)


def _attack(built: DemoDetector, server: ServerProcess, out: Path, console: Console) -> None:
    """Send every sample and show the answers."""
    from detector.cli import demo_showing as showing
    from service.client import Client

    with Client(server.address) as client:
        answers = {sample.kind: client.score(sample.pixels) for sample in built.samples}
    console.print(showing.verdict_table(built.samples, answers))
    console.print()
    for sample in built.samples:
        console.print(showing.summary(sample, answers[sample.kind]))
    console.print("\nFrom the metrics page:", style="bold")
    for line in showing.interesting_metrics(server.metrics_url):
        console.print(f"  {line}", markup=False)
    showing.write_pictures(built, answers, out)
    console.print(f"\npictures    {out / showing.PICTURED}, {out / showing.PROTOTYPES}")
    console.print(f"report      {built.bundle / 'report.html'}")


def _keep_serving(server: ServerProcess, out: Path, console: Console) -> None:
    images = out / "digits.npz"
    console.print("\nServing until Ctrl-C. Call it from another terminal:", style="bold")
    for line in (
        f"isthmus client {server.address} {images}",
        f"isthmus client {server.address} --describe",
        f"grpcurl -plaintext {server.address} isthmus.v1.AdversarialDetector/GetDetector",
        f"grpcurl -plaintext {server.address} grpc.health.v1.Health/Check",
        f"curl {server.metrics_url}",
    ):
        console.print(f"  {line}", markup=False)
    sys.stdout.flush()
    try:
        server.wait()
    except KeyboardInterrupt:
        return
    raise ServiceFailedError(f"the server ended by itself; its log: {out / 'server.log'}")


def _stop(server: ServerProcess, console: Console) -> None:
    code = server.stop()
    if code != 0:
        raise ServiceFailedError(f"the server exited with {code} instead of 0 when told to stop")
    console.print("stopped     by SIGTERM, exit code 0")
