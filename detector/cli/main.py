"""The command line `isthmus`, over both packages."""

from __future__ import annotations

from typing import Annotated

import typer

from detector.cli.calibrate import calibrate
from detector.versions import project_version

app = typer.Typer(
    name="isthmus",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Guard a deployed image classifier: its prediction and, beside it, how likely the image is to be adversarial.",
)
app.command()(calibrate)


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


def main() -> None:
    """Entry point of the console script."""
    app()
