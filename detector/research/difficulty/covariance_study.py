"""The study of covariance: which scores say the same, and how much of a correlation single runs hide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.errors import AnalysisError
from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.difficulty.covariance import Covariance, between_architectures, covariance
from detector.research.difficulty.covariance_sections import covariance_charts, covariance_sections
from detector.research.difficulty.kinds import AVERAGE
from detector.research.difficulty.scaling import constant, informative_each, missing_of
from detector.research.difficulty.showing import SOURCE
from detector.research.studies import Study

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from detector.research.difficulty.statistics_options import StatisticsOptions
    from detector.research.difficulty.table import ScoreTable

NAME: Final = "covariance"
_TWINS: Final = (f"{AVERAGE}conf", f"{AVERAGE}ent")
_STRONG: Final = 0.9
Found = dict[str, tuple[tuple[str, ...], Covariance]]


def of_table(table: ScoreTable, options: StatisticsOptions, what: str) -> Study:
    """Study a table of scores.

    Args:
        table: All scores.
        options: How.
        what: The table is of, in words.

    Raises:
        AnalysisError: There are too few runs or examples, or all scores are constant.
    """
    table = options.chosen(table)
    kept = informative_each(table)
    found: Found = {
        one.architecture: (
            one.scores,
            covariance(one.values, draws=options.draws, seed=options.seed, scale=options.scale),
        )
        for one in kept
    }
    if not any(len(scores) > 1 for scores, _ in found.values()):
        raise AnalysisError("difficulty: covariance needs two scores that differ between examples in every run")
    charts = covariance_charts(found, table.runs)
    return Study(
        name=NAME,
        figures={
            "what": what,
            "scale": options.scale.value,
            "maps": {name: _figures(scores, one) for name, (scores, one) in found.items()},
            "between architectures": _between(table, options),
        },
        sections=covariance_sections(found, what, charts),
        charts=charts,
        claims=(*_twins(found, what), _weak(found, what)),
        missing=missing_of(kept),
    )


def _figures(scores: Sequence[str], one: Covariance) -> dict[str, Any]:
    return {
        "scores": list(scores),
        "half": one.half,
        **{
            f"{kind}, {pairs}": getattr(maps, pairs).tolist()
            for kind, maps in (("single", one.single), ("averaged", one.averaged))
            for pairs in ("same", "apart")
        },
    }


def _between(table: ScoreTable, options: StatisticsOptions) -> dict[str, Any]:
    """For each score that no architecture's mean makes constant, its correlations between architectures."""
    means = table.values.mean(axis=1).transpose(1, 0, 2)
    return {
        score: between_architectures(one, options.scale).tolist()
        for score, one in zip(table.scores, means, strict=True)
        if not constant(one).any()
    }


def _twins(found: Found, what: str) -> tuple[Claim, ...]:
    """Where both scores are there."""
    at = {
        name: one.averaged.same[scores.index(_TWINS[0]), scores.index(_TWINS[1])]
        for name, (scores, one) in found.items()
        if set(_TWINS) <= set(scores)
    }
    if not at:
        return ()
    return (
        Claim(
            claim="Confidence and entropy, averaged over training, are one and the same notion of difficulty",
            source=f"{SOURCE}, figure of covariance: -.99 on CIFAR-10 (confidence as it is); strong is here: above "
            f"{_STRONG:g}",
            run=what,
            outcome=f"correlation, both oriented, averaged over half of the runs: {_told(at)}",
            agrees=bool(min(at.values()) > _STRONG),
        ),
    )


def _weak(found: Found, what: str) -> Claim:
    """Of the map as the paper draws it - scores with one another in one run, with themselves in two - in magnitude."""
    rises = {}
    for name, (scores, one) in found.items():
        entries = np.tril_indices(len(scores))
        single, averaged = (np.abs(maps.same[entries]) for maps in (one.single, one.averaged))
        thirds = np.array_split(np.argsort(single), 3)
        weak, strong = (float((averaged - single)[third].mean()) for third in (thirds[0], thirds[-1]))
        rises[name] = (weak, strong)
    told = "; ".join(
        f"{name} {numbers.gain(weak)} weakest third, {numbers.gain(strong)} strongest"
        for name, (weak, strong) in rises.items()
    )
    return Claim(
        claim="Averaging runs first raises weak correlations, and strong ones less",
        source=f"{SOURCE}, figure of covariance: weak ones rise by .15 to .27, strong ones do not (CIFAR-10)",
        run=f"{what}; pairs of scores in one run, each score with itself in two",
        outcome=f"mean change in magnitude: {told}",
        agrees=all(weak > max(strong, 0) for weak, strong in rises.values()),
    )


def _told(values: Mapping[str, float]) -> str:
    return ", ".join(f"{value:.2f} ({name})" for name, value in values.items())
