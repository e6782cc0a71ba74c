"""The study of components: whether there is one notion of difficulty."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.difficulty.components import Components, components
from detector.research.difficulty.components_sections import components_charts, components_sections
from detector.research.difficulty.scaling import informative_each, missing_of
from detector.research.difficulty.showing import SOURCE
from detector.research.studies import Study

if TYPE_CHECKING:
    from typing import Any

    from detector.research.difficulty.statistics_options import StatisticsOptions
    from detector.research.difficulty.table import ScoreTable

NAME: Final = "components"
_HALF = 0.5
Found = dict[str, tuple[tuple[str, ...], Components]]


def of_table(table: ScoreTable, options: StatisticsOptions, what: str) -> Study:
    """Study a table of scores.

    Args:
        table: All scores.
        options: How.
        what: The table is of, in words.

    Raises:
        AnalysisError: There are too few runs, scores or examples, or all scores are constant.
    """
    table = options.chosen(table)
    kept = informative_each(table)
    found: Found = {one.architecture: (one.scores, components(one.values, options.scale)) for one in kept}
    charts = components_charts(found, table.runs)
    return Study(
        name=NAME,
        figures={
            "what": what,
            "scale": options.scale.value,
            "architectures": {name: _figures(scores, one) for name, (scores, one) in found.items()},
        },
        arrays={f"loadings-{name}": one.loadings for name, (_, one) in found.items()},
        sections=components_sections(found, what, charts),
        charts=charts,
        claims=(_one(found, what), _same_way(found, what)),
        missing=missing_of(kept),
    )


def _figures(scores: tuple[str, ...], one: Components) -> dict[str, Any]:
    return {
        "scores": list(scores),
        "shares": one.shares.tolist(),
        "kept": one.kept,
        "first, single runs": asdict(one.single),
        "mean absolute correlation": one.mean_correlation,
        "loadings of the first": dict(zip(scores, one.loadings[:, 0].tolist(), strict=True)),
    }


def _one(found: Found, what: str) -> Claim:
    told = ", ".join(
        f"{one.shares[0]:.2f} ({name}; second {one.shares[1]:.2f}, {len(scores)} scores)"
        for name, (scores, one) in found.items()
    )
    return Claim(
        claim="Scores of difficulty have one dominant direction",
        source=f"{SOURCE}: first component .63, .42 and .47 of 16 scores on CIFAR-10; dominant is here: above "
        f"{_HALF:g}, as of 12 scores in a replication on MNIST (.756)",
        run=what,
        outcome=f"share of the first component {told}",
        agrees=all(one.shares[0] > _HALF for _, one in found.values()),
    )


def _same_way(found: Found, what: str) -> Claim:
    """An exception has a score that goes the other way than most of them."""
    against = [
        f"{score} ({name})"
        for name, (scores, one) in found.items()
        for score, loading in zip(scores, one.loadings[:, 0], strict=True)
        if loading <= 0
    ]
    correlations = ", ".join(f"{one.mean_correlation:.2f} ({name})" for name, (_, one) in found.items())
    return Claim(
        claim="Scores correlate strongly with one notion of difficulty, and all of them in one direction",
        source=f"{SOURCE}, abstract; strongly is here: the mean absolute correlation of two scores is above {_HALF:g} "
        "(.70 of 12 scores in a replication on MNIST)",
        run=what,
        outcome=f"mean absolute correlation {correlations}; scores that point the other way: "
        f"{numbers.NOTHING if not against else ', '.join(against)}",
        agrees=not against and all(one.mean_correlation > _HALF for _, one in found.values()),
    )
