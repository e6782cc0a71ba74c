"""The study of reliability: how many runs a score of difficulty takes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.difficulty.kinds import AVERAGE
from detector.research.difficulty.reliability import TARGETS, Reliability, reliabilities
from detector.research.difficulty.reliability_sections import reliability_charts, reliability_sections
from detector.research.difficulty.scaling import Scale, informative_each, missing_of, ranks
from detector.research.difficulty.showing import COUNTS, SOURCE
from detector.research.studies import Study

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from detector.research.difficulty.statistics_options import StatisticsOptions
    from detector.research.difficulty.table import ScoreTable

NAME: Final = "reliability"
_CONFIDENCE: Final = f"{AVERAGE}conf"
_FORGOTTEN: Final = "countforget"
_NEAR: Final = 0.05
"""How far the formula may be off what is measured."""
_MOST: Final = 0.9
Found = dict[str, dict[str, Reliability]]


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
    found = {one.architecture: _measured(one.scores, one.values, options.scale, options) for one in kept}
    ranked = {one.architecture: _measured(one.scores, ranks(one.values), options.scale, options) for one in kept}
    pearson = {one.architecture: _measured(one.scores, one.values, Scale.VALUES, options) for one in kept}
    charts = reliability_charts(found, table.runs)
    return Study(
        name=NAME,
        figures={
            "what": what,
            "scale": options.scale.value,
            "architectures": {
                name: {
                    score: {
                        **_figures(one),
                        "ranks averaged": ranked[name][score].averaged.tolist(),
                        "of values": _figures(pearson[name][score]),
                    }
                    for score, one in ones.items()
                }
                for name, ones in found.items()
            },
        },
        sections=reliability_sections(found, ranked, what, charts, table.scores),
        charts=charts,
        claims=(
            *_raised(found, what),
            *_confidence(found, what),
            _prophecy(found, pearson, what),
            _ranks_first(found, ranked, what),
        ),
        missing=missing_of(kept),
    )


def _measured(
    scores: tuple[str, ...], values: NDArray[np.float64], scale: Scale, options: StatisticsOptions
) -> dict[str, Reliability]:
    found = reliabilities(values, draws=options.draws, seed=options.seed, scale=scale)
    return dict(zip(scores, found, strict=True))


def _figures(one: Reliability) -> dict[str, Any]:
    return {
        "single": asdict(one.single),
        "averaged": one.averaged.tolist(),
        "prophecy": one.prophecy.tolist(),
        "runs needed": {str(target): one.needed(target) for target in TARGETS},
    }


def _raised(found: Found, what: str) -> tuple[Claim, ...]:
    """Of training-averaged scores and counts; scores at the end of training need not gain."""
    gains = {
        f"{score}, {name}": (one.gain, one.single.value, one.best)
        for name, ones in found.items()
        for score, one in ones.items()
        if score.startswith(AVERAGE) or score in COUNTS
    }
    if not gains:
        return ()
    least = min(gains, key=lambda key: gains[key][0])
    _, single, best = gains[least]
    half = _half(found)
    return (
        Claim(
            claim="Averaging runs raises the correlation with independent runs for every score that is averaged over "
            "training or counts checkpoints",
            source=f"a replication of {SOURCE} on MNIST, 6 runs averaged",
            run=f"{what}; means of {half} against the {half} others",
            outcome=f"raised for {sum(gain > 0 for gain, _, _ in gains.values())} of {len(gains)} scores by "
            f"architecture; least for {least}: {single:.2f} to {best:.2f}",
            agrees=all(gain > 0 for gain, _, _ in gains.values()) if half > 1 else None,
        ),
    )


def _confidence(found: Found, what: str) -> tuple[Claim, ...]:
    """Where both scores are there."""
    both = {
        name: (ones[_CONFIDENCE].single, ones[_FORGOTTEN].single)
        for name, ones in found.items()
        if {_CONFIDENCE, _FORGOTTEN} <= set(ones)
    }
    if not both:
        return ()
    told = ", ".join(f"{a.value:.2f} against {b.value:.2f} ({name})" for name, (a, b) in both.items())
    return (
        Claim(
            claim="Confidence averaged over training is more reliable than the count of forgetting",
            source=f"a replication of {SOURCE} on MNIST: .69 against .20 (CNN), .83 against .33 (MLP)",
            run=what,
            outcome=f"correlation of single runs {told}",
            agrees=all(a.value > b.value for a, b in both.values()),
        ),
    )


def _prophecy(found: Found, pearson: Found, what: str) -> Claim:
    """Of values, for which the formula is exact; what it is off for ranks stands beside it."""
    by_rank, by_value = (_errors(some) for some in (found, pearson))
    worst = max(by_value, key=lambda key: abs(by_value[key]))
    near, near_ranks = (
        float(np.mean([abs(error) <= _NEAR for error in some.values()])) for some in (by_value, by_rank)
    )
    half = _half(found)
    return Claim(
        claim="Spearman and Brown's formula says from single runs what averaging them gives",
        source=f"classical test theory, not from the paper; near is here: within {_NEAR:g}, for {_MOST:.0%} of scores",
        run=f"{what}; means of {half} runs, Pearson correlations",
        outcome=f"near for {numbers.percent(near)} of {len(by_value)} scores by architecture; measured less foretold "
        f"{numbers.gain(by_value[worst])} where it is most off ({worst}); by Spearman's correlations near for "
        f"{numbers.percent(near_ranks)}",
        agrees=near >= _MOST if half > 1 else None,
    )


def _ranks_first(found: Found, ranked: Found, what: str) -> Claim:
    gains = {
        f"{score}, {name}": ranked[name][score].best - one.best
        for name, ones in found.items()
        for score, one in ones.items()
    }
    least, most = min(gains, key=lambda key: gains[key]), max(gains, key=lambda key: gains[key])
    half = _half(found)
    return Claim(
        claim="Averaging the ranks that runs give is at least as reliable as averaging their values",
        source=f"asked here: less reliable by no more than {_NEAR / 2:g} for every score",
        run=f"{what}; means of {half} runs",
        outcome=f"gain of ranks {numbers.gain(gains[least])} ({least}) to {numbers.gain(gains[most])} ({most}), mean "
        f"{numbers.gain(float(np.mean(list(gains.values()))))}",
        agrees=gains[least] >= -_NEAR / 2 if half > 1 else None,
    )


def _errors(found: Found) -> dict[str, float]:
    """Measured less foretold, of the largest groups."""
    return {
        f"{score}, {name}": float(one.averaged[-1] - one.prophecy[-1])
        for name, ones in found.items()
        for score, one in ones.items()
    }


def _half(found: Found) -> int:
    """Runs of the largest groups."""
    return next(one.most for ones in found.values() for one in ones.values())
