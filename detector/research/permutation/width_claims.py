"""What is claimed of networks of growing width, put to the test."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.permutation.width_job import Comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.metrics import Estimate
    from detector.research.permutation.widths import Widths

CONNECTED: Final = 0.02
"""The error barrier up to which networks are called connected (the authors' line)."""
SOURCE: Final = "arXiv 2404.06498"
_POINT = 0.01  # of accuracy
_ENOUGH = 2  # widths, to see something fall


def width_claims(measured: Widths) -> tuple[Claim, ...]:
    """The claims, in the order of the paper's definitions."""
    return (
        _weak(measured),
        _strong(measured),
        _simplex(measured),
        _order(measured),
        _falling(measured),
        _fixed(measured),
        _merged(measured),
        _matchings(measured),
    )


def _weak(measured: Widths) -> Claim:
    naive, direct = measured.barrier(Comparison.NAIVE), measured.barrier(Comparison.DIRECT)
    return Claim(
        claim="Weak linear connectivity: of two networks one can be permuted so that hardly a barrier is left between "
        "them, once they are wide",
        source=f"{SOURCE}, definition of weak connectivity; error barrier up to {CONNECTED:g}",
        run=measured.what,
        outcome=f"training error barrier at width {measured.widths[-1]} {_last(direct)}, {_last(naive)} as they are",
        agrees=direct[-1].value < CONNECTED and all(a.value < b.value for a, b in zip(direct, naive, strict=True)),
    )


def _strong(measured: Widths) -> Claim:
    through = measured.barrier(Comparison.REFERENCE)
    enough = [width for width, one in zip(measured.widths, through, strict=True) if one.value < CONNECTED]
    return Claim(
        claim="Strong linear connectivity: networks that are each permuted to match a third are connected with one "
        "another, once they are wide",
        source=f"{SOURCE}, definition of strong connectivity; error barrier below {CONNECTED:g}",
        run=measured.what,
        outcome=f"training error barrier through C {_row(measured.widths, through)}; "
        + (f"below {CONNECTED:g} at {', '.join(map(str, enough))}" if enough else f"never below {CONNECTED:g}"),
        agrees=through[-1].value < CONNECTED,
    )


def _simplex(measured: Widths) -> Claim:
    found, middle = measured.worst(), measured.of("middle", 0, 1)
    return Claim(
        claim="Strong linear connectivity: three networks, each with one permutation, are connected all at once, once "
        "they are wide",
        source=f"{SOURCE}, definition of strong connectivity; error barrier below {CONNECTED:g}",
        run=f"{measured.what}; mixtures drawn from the triangle",
        outcome=f"training error barrier of the worst mixture {_row(measured.widths, found)}; of the mean of three "
        f"{_last(middle)} at the widest",
        agrees=found[-1].value < CONNECTED,
    )


def _order(measured: Widths) -> Claim:
    direct, through, naive = (
        measured.barrier(which) for which in (Comparison.DIRECT, Comparison.REFERENCE, Comparison.NAIVE)
    )
    rising = [a.value <= b.value for a, b in zip(direct, through, strict=True)]
    below = [b.value < c.value for b, c in zip(through, naive, strict=True)]
    return Claim(
        claim="A permutation chosen for the two connects them at least as well as one through a reference, and that "
        "better than none",
        source=f"{SOURCE}, its figures of width (in every cell); a replication on MNIST",
        run=measured.what,
        outcome=f"direct <= through C at {sum(rising)} of {len(rising)} widths, through C < as they are at "
        f"{sum(below)}",
        agrees=all(rising) and all(below),
    )


def _falling(measured: Widths) -> Claim:
    looked_at = (Comparison.NAIVE, Comparison.DIRECT, Comparison.REFERENCE)
    found = {which: measured.barrier(which) for which in looked_at}
    return Claim(
        claim="All barriers fall with width (none rises by more than its interval)",
        source=f"{SOURCE}, its figures of width; a replication on MNIST",
        run=measured.what,
        outcome="; ".join(f"{which.value}: {_row(measured.widths, rows)}" for which, rows in found.items()),
        agrees=all(rows[-1].value < rows[0].value and _falls(rows) for rows in found.values())
        if len(measured.widths) >= _ENOUGH
        else None,
    )


def _falls(rows: Sequence[Estimate]) -> bool:
    """Whether none rises by more than its own interval allows."""
    return all(after.low <= before.value for before, after in pairwise(rows))


def _fixed(measured: Widths) -> Claim:
    found = measured.of("agreement", 0)
    return Claim(
        claim="Different permutations connect the same networks: the share of units matched alike through C and "
        "directly does not rise with width",
        source=f"{SOURCE}, its figures of fixed points",
        run=measured.what,
        outcome=f"share matched alike by weights {_row(measured.widths, found)}",
        agrees=found[-1].value <= found[0].high if len(measured.widths) >= _ENOUGH else None,
    )


def _merged(measured: Widths) -> Claim:
    single, merged = (1 - measured.of(name, 1, 1)[-1].value for name in ("single", "merged"))
    return Claim(
        claim="The mean of three wide networks, aligned to one of them, is within a point of a single network",
        source="a replication of arXiv 2404.06498 on MNIST, at width 256",
        run=f"{measured.what}; width {measured.widths[-1]}",
        outcome=f"held-out accuracy {numbers.percent(single)} single, {numbers.percent(merged)} merged",
        agrees=merged >= single - _POINT,
    )


def _matchings(measured: Widths) -> Claim:
    weights, activations = measured.barrier(Comparison.DIRECT), measured.barrier(Comparison.ACTIVATIONS)
    better = [width for width, a, b in zip(measured.widths, weights, activations, strict=True) if a.value <= b.value]
    return Claim(
        claim="Matching by weights is better than by activations in wide networks",
        source=f"{SOURCE}, its figures of width: VGG-16 from width 64 on, ResNet-20 at every width",
        run=measured.what,
        outcome=f"training error barrier by weights {_row(measured.widths, weights)}; by activations "
        f"{_row(measured.widths, activations)}",
        agrees=measured.widths[-1] in better,
    )


def _row(widths: Sequence[int], rows: Sequence[Estimate]) -> str:
    return ", ".join(f"{numbers.loss(one.value)} ({width})" for width, one in zip(widths, rows, strict=True))


def _last(rows: Sequence[Estimate]) -> str:
    return numbers.loss_estimate(rows[-1])
