"""The command line `isthmus`, over both packages."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from detector.cli.analyze import app as analyze
from detector.cli.calibrate import calibrate
from detector.cli.client import client
from detector.cli.demo import demo
from detector.cli.evaluate import evaluate
from detector.cli.export import export
from detector.cli.inspect import inspect
from detector.cli.merge import merge
from detector.cli.score import score
from detector.cli.serve import serve
from detector.cli.token import token
from detector.cli.train import train
from detector.cli.transfer import transfer
from detector.versions import project_version

app = typer.Typer(
    name="isthmus",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Guard a deployed image classifier: its prediction and, beside it, how likely the image is to be adversarial.",
)
for _command in (
    calibrate,
    transfer,
    evaluate,
    inspect,
    export,
    score,
    serve,
    client,
    token,
    train,
    merge,
    demo,
):
    app.command()(_command)
app.add_typer(analyze, name="analyze")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"isthmus {project_version()}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options of the command line itself."""
    del version
    # The commands report by themselves what the library also logs, such as skipped images.
    logging.getLogger("isthmus").addHandler(logging.NullHandler())


def main() -> None:
    """Entry point of the console script."""
    app()
