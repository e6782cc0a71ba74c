"""Options that have a calibration choose for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from detector.calibration.tuning.options import Knob, TuningOptions
from detector.cli.classifier_options import panelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from detector.calibration.tuning.decisions import TuningDecision

_PANEL = "Tuning"

TuneOption = Annotated[
    bool,
    panelled(
        "Choose alphas, prototypes, their smoothness and the thresholds' pooling by measurement on the images that fit "
        "the scorer; what is given on the command line is kept. Takes about as long again.",
        _PANEL,
        "--tune",
    ),
]
TuneBudgetOption = Annotated[
    int | None, panelled("Most classifier forwards per image that --tune may choose; any number if not given.", _PANEL)
]


def tuning_options(
    context: typer.Context, *, tune: bool, budget: int | None, knobs: Mapping[str, Knob]
) -> TuningOptions | None:
    """How to tune, as the options have it; None for not at all.

    Args:
        context: Of the command: what was given on its line is not tuned.
        tune: Whether to.
        budget: Forwards per image, at most.
        knobs: Names of the command's parameters that tuning may turn.

    Raises:
        typer.BadParameter: A budget without tuning.
        CalibrationError: The budget is none.
    """
    if not tune:
        if budget is not None:
            raise typer.BadParameter("--tune-budget needs --tune")
        return None
    sources = {name: context.get_parameter_source(name) for name in knobs}
    given = [knobs[name] for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    return TuningOptions(budget=budget, kept=tuple(given))


def tell_decisions(decisions: Iterable[TuningDecision]) -> None:
    """One line for each."""
    for one in decisions:
        typer.echo(f"tuned       {one.subject.value}: {one.chosen} ({one.why})")
