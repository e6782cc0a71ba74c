"""The load test's command line: ``python -m loadtest``.

``run`` starts a server (or takes one that runs), loads it with locust, stops it, and says whether the bars hold and
where the report is. ``images`` makes the demo's bundle and images and says how to use them.
``options`` explains the options that go to locust.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from detector.cli.demo_server import ServerProcess
from detector.cli.errors import clear_errors
from detector.cli.progress import Bars
from detector.cli.stopping import terminated_like_interrupted
from detector.errors import SettingsError
from loadtest.demo import demo_material
from loadtest.options import add_options

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
_STOP_SECONDS: Final = 60.0
_DEFAULTS: Final = ("--users", "8", "--spawn-rate", "8", "--run-time", "30s")


def main() -> None:
    """Do what is asked."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser(
        "run",
        help="load a server",
        description="Load a server with locust, without its page. Options that are not listed go to locust:"
        f" the names of users, --users, --run-time, --shape, --max-p99-ms, ...; {' '.join(_DEFAULTS)} unless given."
        " python -m loadtest options and locust --help explain them.",
        allow_abbrev=False,
    )
    running.add_argument("--out", type=Path, default=Path("loadtest-output"), help="folder of the report (%(default)s)")
    running.add_argument("--bundle", type=Path, help="what the server serves; the demo's, made in --out, if not given")
    running.add_argument("--clean", help="benign images; the demo's with the demo's bundle")
    running.add_argument("--attacked", help="adversarial images, likewise")
    running.add_argument(
        "--target", help="host:port of a server that runs and serves --bundle; one is started if not given"
    )
    running.add_argument(
        "--server", action="append", default=[], metavar="OPTION", help="of isthmus serve, as in --server=--threads=1"
    )
    running.add_argument("--workers", type=int, default=0, help="processes that share the load; 0: this one alone")
    images = commands.add_parser("images", help="make the demo's bundle and images")
    images.add_argument("--out", type=Path, default=Path("loadtest-output"), help="where to (%(default)s)")
    commands.add_parser("options", help="explain the options that this load test adds to locust's")
    given, further = parser.parse_known_args()
    with clear_errors(), terminated_like_interrupted():
        if given.command == "run":
            sys.exit(_run(given, further))
        if further:
            parser.error(f"unrecognised: {' '.join(further)}")
        if given.command == "images":
            _images(given.out)
        else:
            _explain()


def _explain() -> None:
    """Locust's own --help does not look into locustfiles."""
    own = argparse.ArgumentParser(usage=argparse.SUPPRESS, add_help=False)
    add_options(own)
    own.print_help()


def _images(out: Path) -> None:
    with Bars() as bars:
        made = demo_material(out, bars)
    sys.stdout.write(f"--bundle {made.bundle} --clean {made.clean} --attacked {made.attacked}\n")


def _run(given: argparse.Namespace, further: Sequence[str]) -> int:
    """The exit code of locust."""
    given.out.mkdir(parents=True, exist_ok=True)
    material, log = _material(given), given.out / "server.log"
    with ExitStack() as stack:
        target = given.target
        if target is None:
            server = ServerProcess(Path(material[1]), log, port=0, metrics_port=0, flags=given.server)
            target = stack.enter_context(server).address
            sys.stdout.write(f"server      {target}, log in {log}\n")
        sys.stdout.flush()
        report = given.out / "report.html"
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
        command += ["--host", target, "--html", str(report), *material, *_DEFAULTS, *further]
        if given.workers:
            command += shared_by(given.workers)
        code = _finished(command)
        sys.stdout.write(f"report      {report}\n")
    return code


def shared_by(workers: int) -> list[str]:
    """Locust's options for a master and so many workers on this machine, beside whatever else runs there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    # Anyone could be a master's worker, or a worker's master.
    only_here = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
    return ["--processes", str(workers), *only_here]


def _material(given: argparse.Namespace) -> list[str]:
    """Options that name the bundle and the images."""
    if given.bundle is None:
        if given.clean or given.attacked or given.target:
            raise SettingsError(
                "--clean, --attacked and --target go with --bundle: the right answers are computed with it"
            )
        with Bars() as bars:
            made = demo_material(given.out, bars)
        return ["--bundle", str(made.bundle), "--clean", str(made.clean), "--attacked", str(made.attacked)]
    if not given.clean:
        raise SettingsError("--clean must be given with --bundle: images to ask about")
    found = ["--bundle", str(given.bundle), "--clean", given.clean]
    return [*found, "--attacked", given.attacked] if given.attacked else found


def _finished(command: Sequence[str]) -> int:
    """Run it to its end, which Ctrl-C brings; it prints what there is until then."""
    process = subprocess.Popen(command)  # noqa: S603 - this project's own command
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        return process.wait(_STOP_SECONDS)
    finally:
        process.kill()


if __name__ == "__main__":
    main()
