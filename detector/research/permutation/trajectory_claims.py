"""What is claimed of permutations over training, put to the test."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.permutation.hybrids import Hybrid
from detector.research.permutation.trajectories import NONE, TOGETHER
from detector.research.permutation.width_claims import CONNECTED, SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from detector.research.permutation.trajectories import Trajectory

_NEAR = 0.01  # of an error barrier: as good as
_HALF = 0.5
_FAR = 2  # times as high a barrier


def trajectory_claims(found: Trajectory) -> tuple[Claim, ...]:
    """The claims, each with what came out."""
    return (
        _one_for_all(found, f"epoch {found.epochs[-1]}", "The last epoch's permutation connects"),
        _one_for_all(found, TOGETHER, "One permutation that matches several checkpoints together connects"),
        _start(found),
        _order(found),
        _many(found),
        _hybrids(found),
    )


def _one_for_all(found: Trajectory, name: str, claim: str) -> Claim:
    errors = found.errors(name)
    return Claim(
        claim=f"{claim} two networks at every epoch of their training (simultaneous weak linear connectivity)",
        source=f"{SOURCE}, its figures of barrier stability; error barrier below {CONNECTED:g}",
        run=found.what,
        outcome=f"training error barrier at epochs {_row(found.epochs, errors)}; without a permutation "
        f"{_row(found.epochs, found.errors(NONE))}",
        agrees=bool((errors < CONNECTED).all()),
    )


def _start(found: Trajectory) -> Claim:
    first, last, none = (found.at_end(name) for name in (f"epoch {found.epochs[0]}", f"epoch {found.epochs[-1]}", NONE))
    return Claim(
        claim="The permutation of the random start does not connect the networks as they end",
        source=f"{SOURCE}, its figures of barrier stability; a replication on MNIST, width 256: 0.030 against 0.002",
        run=found.what,
        outcome=f"training error barrier at the end {numbers.loss_estimate(first)} by the start's permutation, "
        f"{numbers.loss_estimate(last)} by the end's, {numbers.loss_estimate(none)} by none",
        agrees=first.value > CONNECTED and first.value > _FAR * last.value,
    )


def _order(found: Trajectory) -> Claim:
    ends = [found.at_end(f"epoch {epoch}").value for epoch in found.epochs]
    return Claim(
        claim="The later its epoch, the better a permutation connects the networks as they end",
        source=f"{SOURCE}, its figures of barrier stability",
        run=found.what,
        outcome=f"training error barrier at the end, of the permutations of epochs {_row(found.epochs, ends)}",
        agrees=all(after <= before + _NEAR for before, after in pairwise(ends)) and ends[-1] < ends[0],
    )


def _many(found: Trajectory) -> Claim:
    ends = [found.at_end(f"epoch {epoch}").value for epoch in found.epochs[:-1]]
    last = found.at_end(f"epoch {found.epochs[-1]}").value
    good = [place for place, value in enumerate(ends) if value <= last + _NEAR]
    shares = [found.final[place].value for place in good]
    told = ", ".join(
        f"{numbers.percent(share)} (epoch {found.epochs[place]})" for place, share in zip(good, shares, strict=True)
    )
    return Claim(
        claim="Many permutations connect the same networks: earlier ones that do match units otherwise than the last",
        source=f"{SOURCE}: 36% of matches are final at epoch 50, where the barrier is at its least",
        run=found.what,
        outcome=f"matches already final, of permutations within {_NEAR:g} of the last one's barrier: {told or 'none'}",
        agrees=min(shares) < _HALF if shares else None,
    )


def _hybrids(found: Trajectory) -> Claim:
    bottom, top = (found.hybrid_errors(0, kind) for kind in (Hybrid.BOTTOM_UP, Hybrid.TOP_DOWN))
    last, first = (found.at_end(f"epoch {found.epochs[place]}").value for place in (-1, 0))
    if len(found.layers) < 2 or first <= last:  # noqa: PLR2004 - one layer has no hybrid
        verdict = None
    else:
        harmless, harmful = ((value - last) / (first - last) for value in (bottom[0], top[1]))
        verdict = bool(harmless < _HALF < harmful)
    rest = numbers.loss(top[1] if len(top) > 1 else None)
    return Claim(
        claim="Later layers fix the permutation: early weights in the first layer are harmless, in all behind it as "
        "bad as everywhere",
        source=f"{SOURCE}, its hybrids of early and late layers",
        run=f"{found.what}; hybrids of the start and the end",
        outcome="training error barrier at the end "
        f"{numbers.loss(bottom[0])} by hybrids whose first layer is that of the start, {rest} whose others are, "
        f"{numbers.loss(first)} by the start itself, {numbers.loss(last)} by the end",
        agrees=verdict,
    )


def _row(epochs: Sequence[int], values: Iterable[float]) -> str:
    return ", ".join(f"{numbers.loss(value)} ({epoch})" for epoch, value in zip(epochs, values, strict=True))
