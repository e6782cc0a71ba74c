"""The study of fingerprints: whether a few examples tell of which architecture a run is."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.difficulty.fingerprint import Fingerprint, fingerprint
from detector.research.difficulty.fingerprint_sections import Pairs, fingerprint_charts, fingerprint_sections
from detector.research.difficulty.kinship import Kinship, kinship, pairs
from detector.research.difficulty.scaling import informative, percentiles
from detector.research.difficulty.showing import SOURCE
from detector.research.studies import Study

if TYPE_CHECKING:
    from typing import Any

    from detector.research.difficulty.statistics_options import StatisticsOptions
    from detector.research.difficulty.table import ScoreTable

NAME: Final = "fingerprint"
_MIDDLE: Final = 0.75
"""Half-way from chance to certainty, for two architectures: above it they are told apart, below it not."""
_TWO: Final = 2  # architectures, of which telling all at once is telling the pair


def of_table(table: ScoreTable, options: StatisticsOptions, what: str) -> Study:
    """Study a table of scores.

    Args:
        table: All scores.
        options: How.
        what: The table is of, in words.

    Raises:
        AnalysisError: There are too few architectures, runs or examples, or there is no such score.
    """
    table = options.chosen(table)
    ranked = {name: percentiles(informative(table, name).of(options.score)) for name in table.architectures}
    # One architecture by itself is refused there, too.
    together = None if len(ranked) == _TWO else fingerprint(list(ranked.values()), options.fingerprint)
    found = {(a, b): fingerprint([ranked[a], ranked[b]], options.fingerprint) for a, b in pairs(table.architectures)}
    charts = fingerprint_charts(found, table.runs)
    of_all = {} if together is None else {"all at once": _figures(together)}
    return Study(
        name=NAME,
        figures={
            "what": what,
            "score": options.score,
            "options": asdict(options.fingerprint),
            "pairs": [
                {"pair": list(pair), "kinship": kinship(*pair).value, **_figures(one)} for pair, one in found.items()
            ],
            **of_all,
        },
        arrays={f"chosen-{number}": one.chosen for number, one in enumerate(found.values())},
        sections=fingerprint_sections(found, together, table.architectures, what, charts),
        charts=charts,
        claims=tuple(
            _claims(found, f"{what}; ranks of {options.score}, {options.fingerprint.splits} splits of the runs")
        ),
    )


def _figures(one: Fingerprint) -> dict[str, Any]:
    return {
        "sizes": list(one.sizes),
        "chance": one.chance,
        "chosen": [asdict(each) for each in one.accuracy()],
        "random": [asdict(each) for each in one.accuracy(random=True)],
        "runs told": [asdict(one.recognised(size)) for size in one.sizes],
        "told": one.told.tolist(),
        "by split": one.by_split.tolist(),
        "examples": one.chosen.tolist(),
    }


def _claims(found: Pairs, what: str) -> list[Claim]:
    apart, widths = (
        {" / ".join(pair): one for pair, one in found.items() if kinship(*pair) is kind}
        for kind in (Kinship.FAMILIES, Kinship.WIDTHS)
    )
    return [*(_of_families(apart, what) if apart else ()), *([_of_widths(widths, what)] if widths else [])]


def _of_families(apart: dict[str, Fingerprint], what: str) -> tuple[Claim, Claim]:
    size = next(iter(apart.values())).sizes[0]
    chosen, random = (
        {name: one.accuracy(random=other)[0].value for name, one in apart.items()} for other in (False, True)
    )
    gaps = [chosen[name] - random[name] for name in chosen]
    return (
        Claim(
            claim="A single sensitive example tells a multilayer perceptron from a convolutional network",
            source=f"{SOURCE}, abstract: few sensitive examples fingerprint an architecture; 1.00 on one split of a "
            f"replication on MNIST; told is here: accuracy above {_MIDDLE:g}, half-way from chance to certainty",
            run=what,
            outcome=f"accuracy by {size} {_told(chosen)}; {_splits(apart)}; runs told {_runs(apart, size)}",
            agrees=min(chosen.values()) > _MIDDLE if size == 1 else None,
        ),
        Claim(
            claim="Sensitive examples tell families better than random ones",
            source=f"{SOURCE}; 1.00 against .50 by one example in a replication on MNIST",
            run=what,
            outcome=f"accuracy by {size}: chosen {_told(chosen)}; random {_told(random)}",
            agrees=bool(np.min(gaps) > 0),
        ),
    )


def _of_widths(widths: dict[str, Fingerprint], what: str) -> Claim:
    size = next(iter(widths.values())).sizes[0]
    chosen = {name: one.accuracy()[0].value for name, one in widths.items()}
    return Claim(
        claim="A sensitive example does not tell widths of one architecture",
        source=f"a replication of {SOURCE} on MNIST: .58 by one example; not told is here: accuracy below {_MIDDLE:g}",
        run=what,
        outcome=f"accuracy by {size} {_told(chosen)}; {_splits(widths)}; runs told {_runs(widths, size)}",
        agrees=max(chosen.values()) < _MIDDLE if size == 1 else None,
    )


def _told(values: dict[str, float]) -> str:
    return ", ".join(f"{value:.2f} ({name})" for name, value in values.items())


def _splits(found: dict[str, Fingerprint]) -> str:
    firsts = np.concatenate([one.by_split[:, 0] for one in found.values()])
    return f"single splits {firsts.min():.2f} to {firsts.max():.2f}, {numbers.percent((firsts == 1).mean())} of them 1"


def _runs(found: dict[str, Fingerprint], size: int) -> str:
    counts = (one.recognised(size) for one in found.values())
    return ", ".join(f"{one.flagged} of {one.total}" for one in counts)
