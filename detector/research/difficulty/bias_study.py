"""The study of bias: on how many examples architectures differ by more than their runs do."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.errors import AnalysisError
from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.difficulty.bias import LEAST_RUNS, Difference, difference
from detector.research.difficulty.bias_sections import Pair, bias_charts, bias_sections
from detector.research.difficulty.kinship import Kinship, kinship, pairs
from detector.research.difficulty.scaling import informative_each, missing_of, percentiles
from detector.research.difficulty.showing import SOURCE
from detector.research.studies import Study

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from detector.research.difficulty.scaling import Informative
    from detector.research.difficulty.statistics_options import StatisticsOptions
    from detector.research.difficulty.table import ScoreTable

NAME: Final = "bias"
_HALVES: Final = 2 * LEAST_RUNS
_HALF: Final = 0.5
_SPREAD: Final = (0.05, 0.95)
"""Shares of examples between which neither all nor none are sensitive."""


def of_table(table: ScoreTable, options: StatisticsOptions, what: str) -> Study:
    """Study a table of scores.

    Args:
        table: All scores.
        options: How.
        what: The table is of, in words.

    Raises:
        AnalysisError: There is one architecture only, there are too few runs or examples, all scores are constant, or
            there is no such score as is to be drawn.
    """
    table = options.chosen(table)
    if len(table.architectures) < 2:  # noqa: PLR2004 - a pair
        raise AnalysisError("difficulty: bias needs two architectures")
    kept = {one.architecture: one for one in informative_each(table)}
    for one in kept.values():
        one.of(options.score)
    found = [
        *(_pair(kept[a], kept[b], options) for a, b in pairs(table.architectures)),
        *(_control(one, options) for one in kept.values() if table.runs >= _HALVES),
    ]
    charts = bias_charts(found, table.runs)
    return Study(
        name=NAME,
        figures={"what": what, "score": options.score, "pairs": [_figures(pair) for pair in found]},
        arrays={
            f"{part}-{number}": getattr(pair.found, part).astype(np.float32)
            for number, pair in enumerate(found)
            for part in _KEPT
        },
        sections=bias_sections(found, what, charts, table.scores),
        charts=charts,
        claims=tuple(_claims(found, what)),
        missing=missing_of(kept.values()),
    )


_KEPT: Final = ("welch", "permuted", "joint")


def _pair(first: Informative, second: Informative, options: StatisticsOptions) -> Pair:
    """Two architectures by the scores that both have; the drawn one is among them."""
    scores = tuple(name for name in first.scores if name in second.scores)
    values = [percentiles(np.stack([one.of(name) for name in scores], axis=1)) for one in (first, second)]
    return Pair(
        first.architecture,
        second.architecture,
        kinship(first.architecture, second.architecture),
        scores,
        options.score,
        _tested(values[0], values[1], options),
        options.level,
    )


def _control(one: Informative, options: StatisticsOptions) -> Pair:
    """Runs of one architecture, half beside half: what is found of them is false."""
    values, half = percentiles(one.values), len(one.values) // 2
    tested = _tested(values[:half], values[half : 2 * half], options)
    name = one.architecture
    return Pair(name, name, None, one.scores, options.score, tested, options.level)


def _tested(first: Any, second: Any, options: StatisticsOptions) -> Difference:
    return difference(first, second, permutations=options.permutations, seed=options.seed)


def _figures(pair: Pair) -> dict[str, Any]:
    return {
        "pair": [pair.first, pair.second],
        "kinship": None if pair.kinship is None else pair.kinship.value,
        "ways": pair.found.ways,
        "all scores, permutation": asdict(pair.joint),
        "welch": {score: asdict(pair.welch(score)) for score in pair.scores},
    }


def _claims(found: Sequence[Pair], what: str) -> list[Claim]:
    apart = [pair for pair in found if pair.kinship is Kinship.FAMILIES]
    widths = [pair for pair in found if pair.kinship is Kinship.WIDTHS]
    controls = [pair for pair in found if pair.kinship is None]
    claims = [*_of_families(apart, what)] if apart else []
    if apart and widths:
        claims.append(_families_above_widths(apart, widths, what))
    return [*claims, *([_controlled(controls, what)] if controls else [])]


def _of_families(apart: Sequence[Pair], what: str) -> tuple[Claim, Claim]:
    drawn = apart[0].drawn
    discovered = {pair.name: pair.welch().discovered for pair in apart}
    joint = {pair.name: pair.joint.plain for pair in apart}
    return (
        Claim(
            claim="Examples range from sensitive to insensitive to the architecture",
            source=f"{SOURCE}, abstract; discoveries are {_SPREAD[0]:.0%} to {_SPREAD[1]:.0%} of the examples (20.5% "
            "for MLP and CNN in a replication on MNIST)",
            run=f"{what}; Welch's tests of {drawn}",
            outcome=f"discoveries between families {_told(discovered)}",
            agrees=all(_SPREAD[0] <= share <= _SPREAD[1] for share in discovered.values()),
        ),
        Claim(
            claim="A multilayer perceptron and a convolutional network differ on most examples",
            source=f"{SOURCE}, figure of bias: p < .05 for most examples of CIFAR-10 between MLP-3 and either CNN",
            run=f"{what}; permutation tests of all scores together",
            outcome=f"examples with p up to {apart[0].level:g} {_told(joint)}",
            agrees=all(share > _HALF for share in joint.values()),
        ),
    )


def _families_above_widths(apart: Sequence[Pair], widths: Sequence[Pair], what: str) -> Claim:
    far, near = ({pair.name: pair.welch().plain for pair in some} for some in (apart, widths))
    return Claim(
        claim="Architectures of different families differ on more examples than widths of one",
        source=f"{SOURCE}: many examples are not significant between VGG-16 and ResNet-20; 35% between MLP and CNN, 6% "
        "between widths in a replication on MNIST",
        run=f"{what}; Welch's tests of {apart[0].drawn}",
        outcome=f"examples with p up to {apart[0].level:g}: families {_told(far)}; widths {_told(near)}",
        agrees=min(far.values()) > max(near.values()),
    )


def _controlled(controls: Sequence[Pair], what: str) -> Claim:
    """Between halves of one architecture's runs there is nothing to discover."""
    shares = {pair.name: pair.welch().discovered for pair in controls}
    return Claim(
        claim="Between runs of one architecture nothing is discovered",
        source=f"asked here, as a control: fewer discoveries than {controls[0].level:g} of the examples",
        run=f"{what}; Welch's tests of {controls[0].drawn}, half of the runs beside the others",
        outcome=f"discoveries {_told(shares)}",
        agrees=bool(np.max(list(shares.values())) < controls[0].level),
    )


def _told(shares: dict[str, float]) -> str:
    return ", ".join(f"{numbers.percent(share)} ({name})" for name, share in shares.items())
