"""What the paper and its replication say of bypasses, put to the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.connectivity.kinds import Kind
from detector.research.connectivity.pair_claims import PAPER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from detector.metrics import RealisedRate
    from detector.research.connectivity.joined import Joined
    from detector.research.connectivity.options import ConnectivityOptions

MOST: Final = 0.95
"""Share of pairs of real images that one bypass is to connect."""
_FAINT: Final = (0.01, 0.05)
"""The largest pixel that a bypass changes, as a share of the image's largest, by the paper's first figure."""


def bypass_claims(joined: Mapping[Kind, Joined], options: ConnectivityOptions) -> Iterator[Claim]:
    """Every claim that what was joined can test."""
    if Kind.REAL not in joined or not options.rounds:
        return
    real = joined[Kind.REAL]
    run = f"{len(real.classes)} pairs {Kind.REAL}, epsilon {options.epsilon:g}, {options.steps} steps"
    rates = real.connected(connectable=True)
    everyone = real.connected(connectable=False)
    yield Claim(
        claim="One bypass connects two real images of a class",
        source=f"{PAPER}, Sec. 4.1",
        run=f"{run}; a pair counts where both ends are below epsilon",
        outcome=f"{numbers.realised(rates[1])} of {rates[1].total}, {numbers.realised(rates[0])} without a bypass; of "
        f"all {everyone[1].total} pairs {numbers.realised(everyone[1])}"
        if rates
        else "no pair has both ends below epsilon",
        agrees=rates[1].rate >= MOST if rates else None,
    )
    yield from _faint(real, run)
    if Kind.PAPER in joined:
        yield from _beside(real, joined[Kind.PAPER], run, options)


def _faint(real: Joined, run: str) -> Iterator[Claim]:
    displaced = real.displaced
    if not len(displaced.rows):
        return
    largest, share = float(np.median(displaced.largest)), float(np.mean(displaced.shares))
    yield Claim(
        claim="A bypass hardly shows: the largest pixel of B' - B is 1 to 5% of the image's largest",
        source=f"{PAPER}, Fig. 1",
        run=f"{run}; {len(displaced.rows)} of them were bypassed",
        outcome=f"median {numbers.percent(largest)}; B' lies {numbers.percent(share)} of the path's length from B",
        agrees=_FAINT[0] <= largest <= _FAINT[1],
    )


def _beside(real: Joined, attacked: Joined, run: str, options: ConnectivityOptions) -> Iterator[Claim]:
    run = f"{run}; {len(attacked.classes)} {Kind.PAPER}"
    own, theirs = real.connected(connectable=True), attacked.connected(connectable=True)
    if own and theirs:
        yield Claim(
            claim="Adversarial pairs need more segments than real ones",
            source="the authors' answer to reviewers",
            run=f"{run}, both ends below epsilon",
            outcome=f"connected after one bypass: {numbers.realised(own[1])} and {numbers.realised(theirs[1])}; "
            f"straight: {numbers.realised(own[0])} and {numbers.realised(theirs[0])}",
            agrees=_fewer(theirs[1], own[1]),
        )
    low = [one.chains.heights[one.connectable] for one in (real, attacked)]
    if all(len(each) for each in low):
        before, after = ([float(each[:, number].mean()) for each in low] for number in (0, 1))
        yield Claim(
            claim="One bypass brings real-real and adversarial barriers to the same low level: the straight path is "
            "the signal",
            source=f"replication of {PAPER} on MNIST",
            run=f"{run}, both ends below epsilon",
            outcome=f"mean heights {' and '.join(map(numbers.loss, before))} nats before, "
            f"{' and '.join(map(numbers.loss, after))} after",
            agrees=max(after) < options.epsilon,
        )


def _fewer(one: RealisedRate, other: RealisedRate) -> bool | None:
    """Whether a rate is lower than another; None where their intervals leave it open."""
    if one.high < other.low:
        return True
    return False if one.low >= other.low else None
