"""What the commands of `isthmus analyze` share: options, and what is said at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from detector.cli.classifier_options import panelled

if TYPE_CHECKING:
    from detector.research.analysis import Analysis

HOW: Final = "The analysis"
ON_INTERRUPT: Final = "interrupted; run the same command again to go on"
_SHOWN = 3  # sentences on what is missing; the report has all of them

StudiesOption = Annotated[
    list[str] | None,
    panelled("Only these studies, by name, repeatable; all that have something to work on if not given.", HOW),
]
SeedOption = Annotated[int, typer.Option(help="Of all that is drawn.")]


def tell(out: Path, found: Analysis) -> None:
    """What an analysis found, in a few lines, and where the rest is."""
    from detector.research.analysis import CLAIMS, REPORT

    claims = [claim for study in found.studies for claim in study.claims]
    agreed = sum(claim.agrees is True for claim in claims)
    typer.echo(f"studies     {', '.join(study.name for study in found.studies)}")
    typer.echo(f"claims      {agreed} of {len(claims)} agree")
    for sentence in found.missing[:_SHOWN]:
        typer.echo(f"missing     {sentence}")
    if len(found.missing) > _SHOWN:
        typer.echo(f"missing     and {len(found.missing) - _SHOWN} more, in the report")
    typer.echo(f"report      {out / REPORT}")
    typer.echo(f"figures     {out / found.kind.figures}")
    typer.echo(f"table       {out / CLAIMS}")
