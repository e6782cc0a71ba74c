"""What is claimed of merged networks and their guards, put to the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.evaluation.comparing import EVADED, LEFT_AUROC
from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.permutation.combining import ENSEMBLE, MERGED
from detector.research.permutation.guards import SINGLE
from detector.research.permutation.merging_barriers import BAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.research.permutation.guards import Guards
    from detector.research.permutation.merging_sections import Family

POINT: Final = 0.01
"""A merged network is as good as a single one where its accuracy is at most this much below."""
_SOURCE = "Sharma et al., arXiv 2404.06498"


def merging_claims(families: Sequence[Family], what: str) -> tuple[Claim, ...]:
    """The claims, each for every family of networks."""
    return tuple(claim for family in families for claim in _of_family(family, f"{family.name}; {what}"))


def _of_family(family: Family, run: str) -> list[Claim]:
    barriers, single = family.combined.barriers, family.single_accuracy
    merged = 1 - barriers.merged[1]
    claims = [
        Claim(
            claim=f"Networks {family.name} are connected once each is aligned to one of them.",
            source=f"{_SOURCE} (strong linear connectivity)",
            run=run,
            outcome=f"largest error barrier {barriers.naive[..., 1].max():.3f} as they are, "
            f"{barriers.direct[..., 1].max():.3f} aligned in pairs, {barriers.worst:.3f} aligned to the reference "
            f"(the bar is {BAR}); the mean of all: {barriers.middle[1]:+.3f}",
            agrees=barriers.advised,
        ),
        Claim(
            claim=f"Networks {family.name}, merged, are within a point of a single one.",
            source="a replication of arXiv 2404.06498 on MNIST, at width 256",
            run=run,
            outcome=f"accuracy {numbers.percent(merged)} merged, {numbers.percent(single)} single (their mean), "
            f"{numbers.percent(family.combined.ensemble_accuracy)} as an ensemble",
            agrees=merged >= single - POINT,
        ),
    ]
    if family.guards is not None:
        claims += [
            _of_guards(family.guards, SINGLE, f"The guard of networks {family.name}, merged, is better than a single "
                       "network's.", run),
            _of_guards(family.guards, ENSEMBLE, f"The guard of networks {family.name}, merged, is better than the "
                       "ensemble's.", run),
        ]  # fmt: skip
    return claims


def _of_guards(guards: Guards, other: str, claim: str, run: str) -> Claim:
    """What decides is said in `JUDGED_BY`."""
    figures, difference = guards.comparison.figures, guards.comparison.difference(MERGED, other)

    def said(name: str) -> str:
        mine, theirs, gap = figures[MERGED][name], figures[other][name], difference[name]
        return (
            f"{mine.value:.3f} against {theirs.value:.3f} ({numbers.gain(gap.value)}, {numbers.gain(gap.low)} to "
            f"{numbers.gain(gap.high)})"
        )

    return Claim(
        claim=claim,
        source="asked here: are merged classifiers better to guard?",
        run=f"{run}; {len(guards.comparison.attacks)} attacks, {guards.comparison.images} benign test images",
        outcome=f"AUROC with kin left out {said(LEFT_AUROC)}; attacked images that get by {said(EVADED)}; "
        f"{guards.forwards[MERGED]} against {guards.forwards[other]} forwards per image",
        agrees=guards.verdict(other),
    )
