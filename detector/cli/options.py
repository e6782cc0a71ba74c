"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detector.cli.rendering import OutputFormat

BundleOption = Annotated[Path, typer.Option(help="The bundle folder that `isthmus calibrate` made.")]
FormatOption = Annotated[
    OutputFormat, typer.Option("--format", help="table for people; json (one array) and csv for programs.")
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the answers to this file instead; whole or not at all.")
]
