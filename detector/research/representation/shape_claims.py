"""What is claimed of depth and width, put to the test."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from detector.reporting import numbers
from detector.research.claims import Claim
from detector.research.representation.shapes import TRAINED, UNTRAINED
from detector.research.representation.training_claims import REPLICATION, TOLERANCE, rises_with_depth, softmax_share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from detector.research.representation.shapes import Shape, Shapes
    from detector.research.representation.spaces.base import Array

_ALMOST = 1.25  # times: lengths called constant; the replication's differ by 1.14
_LARGE = 0.3  # of the approach to the target


def shape_claims(shapes: Shapes) -> tuple[Claim, ...]:
    """The claims, each with what came out."""
    deep, wide = shapes.by_depth(), shapes.by_width()
    return (
        _trained(shapes),
        _nearing(shapes),
        _order(shapes, deep, "Deeper networks take smaller steps", "mean step of a block", _steps),
        _constant(shapes, deep),
        _order(shapes, wide, "Wider networks have straighter paths", "slack", _slacks),
        _order(shapes, wide, "Wider networks end closer to the target", "distance of the end to the target", _ends),
        _order(
            shapes,
            wide,
            "Wider networks are closer to one another across seeds, at the same layer",
            "distance of two seeds, mean over hidden layers",
            _across,
        ),
    )


def _steps(shape: Shape) -> Array:
    return shape.block_steps(TRAINED)


def _slacks(shape: Shape) -> Array:
    return shape.slacks(TRAINED)


def _ends(shape: Shape) -> Array:
    return shape.ends(TRAINED)


def _across(shape: Shape) -> Array:
    return shape.across_seeds(TRAINED)


def _trained(shapes: Shapes) -> Claim:
    shorter = [bool((one.lengths(TRAINED) < one.lengths(UNTRAINED)).all()) for one in shapes.all]
    straighter = [bool((one.slacks(TRAINED) < one.slacks(UNTRAINED)).all()) for one in shapes.all]
    return Claim(
        claim="Training shortens and straightens the path, whatever the shape",
        source=REPLICATION,
        run=shapes.what,
        outcome=f"all networks shorter in {sum(shorter)} of {len(shapes.all)} shapes, straighter in {sum(straighter)}; "
        + "; ".join(
            f"{one.name} length {_means(one.lengths)}, slack {_means(one.slacks)}, untrained to trained"
            for one in shapes.all
        ),
        agrees=all(shorter) and all(straighter),
    )


def _means(values: Callable[[int], Array]) -> str:
    return " to ".join(numbers.loss(float(values(when).mean())) for when in (UNTRAINED, TRAINED))


def _nearing(shapes: Shapes) -> Claim:
    worst = max(float(rises_with_depth(one.arrays["to_target"][:, TRAINED]).max()) for one in shapes.all)
    share = min(float(softmax_share(one.arrays["to_target"][:, TRAINED]).min()) for one in shapes.all)
    return Claim(
        claim="After training the distance to the target never rises with depth, and drops most at the softmax, "
        "whatever the shape",
        source=f"{REPLICATION}; up to {TOLERANCE:g}",
        run=shapes.what,
        outcome=f"largest rise from a point to the next {numbers.loss(worst)}; the softmax's share of the approach is "
        f"{numbers.percent(share)} or more",
        agrees=worst <= TOLERANCE and share > _LARGE,
    )


def _constant(shapes: Shapes, deep: Sequence[Shape]) -> Claim:
    found = [float(one.lengths(TRAINED).mean()) for one in deep]
    return Claim(
        claim="The length of trained paths hardly depends on depth",
        source=f"{REPLICATION}: 2.14, 2.29, 2.43 at depth 2, 4, 8",
        run=shapes.what,
        outcome=f"length {_row(deep, found)}; the longest is {max(found) / min(found):.2f} times the shortest",
        agrees=max(found) <= _ALMOST * min(found) if len(deep) > 1 else None,
    )


def _order(shapes: Shapes, some: Sequence[Shape], claim: str, word: str, values: Callable[[Shape], Array]) -> Claim:
    found = [float(np.mean(values(one))) for one in some]
    return Claim(
        claim=claim,
        source=REPLICATION,
        run=shapes.what,
        outcome=f"{word}, trained: {_row(some, found)}",
        agrees=all(after < before for before, after in pairwise(found)) if len(some) > 1 else None,
    )


def _row(some: Sequence[Shape], found: Sequence[float]) -> str:
    return ", ".join(f"{numbers.loss(value)} ({one.name})" for one, value in zip(some, found, strict=True))
