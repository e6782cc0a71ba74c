"""`isthmus analyze`: the analyses of the papers the detector rests on, a command for each."""

from __future__ import annotations

import typer

from detector.cli.analyze_connectivity import connectivity
from detector.cli.analyze_difficulty import difficulty
from detector.cli.analyze_permutation import permutation
from detector.cli.analyze_representation import representation

app = typer.Typer(
    no_args_is_help=True,
    help="Analyses of the papers the guard rests on, on your classifier: what they claim, and what comes out.",
)
app.command()(connectivity)
app.command()(difficulty)
app.command()(permutation)
app.command()(representation)
