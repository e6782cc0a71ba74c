"""What is claimed of paths over training, put to the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.metrics import mean_estimate
from detector.reporting import numbers
from detector.research.claims import Claim

if TYPE_CHECKING:
    from detector.research.representation.course import Course
    from detector.research.representation.spaces.base import Array

SOURCE: Final = "arXiv 2206.10999"
REPLICATION: Final = "a replication of arXiv 2206.10999 on MNIST, residual MLPs"
TOLERANCE: Final = 0.01
"""By which a distance to the target may rise from one point of a path to the next."""
_SIDEWAYS = (70.0, 95.0)  # degrees; the replication saw 76 to 89


def training_claims(course: Course) -> tuple[Claim, ...]:
    """The claims, each with what came out."""
    return (_shorter(course), _straighter(course), _nearing(course), _softmax(course), *_blocks(course))


def _shorter(course: Course) -> Claim:
    return _falls(course, course.lengths, "Training shortens the path", "length")


def _straighter(course: Course) -> Claim:
    return _falls(
        course, course.slacks, "Training straightens the path (slack: length over the ends' distance)", "slack"
    )


def _falls(course: Course, values: Array, claim: str, word: str) -> Claim:
    first, last = (mean_estimate(values[:, place]) for place in (0, -1))
    over = ", ".join(
        f"{numbers.loss(float(mean))} ({epoch})" for epoch, mean in zip(course.epochs, values.mean(0), strict=True)
    )
    return Claim(
        claim=claim,
        source=REPLICATION,
        run=course.what,
        outcome=f"{word} {numbers.loss_estimate(first)} untrained, {numbers.loss_estimate(last)} trained; over epochs "
        f"{over}",
        agrees=bool((values[:, -1] < values[:, 0]).all()),
    )


def _nearing(course: Course) -> Claim:
    rises = rises_with_depth(course.arrays["to_target"][:, -1])
    worst = float(rises.max())
    ends = course.arrays["to_target"][:, -1].mean(0)
    return Claim(
        claim="After training the distance to the target never rises with depth",
        source=f"{REPLICATION}; up to {TOLERANCE:g}",
        run=course.what,
        outcome=f"largest rise from a point to the next {numbers.loss(worst)}; {_row(course, ends)}",
        agrees=worst <= TOLERANCE,
    )


def rises_with_depth(to_target: Array) -> Array:
    """By how much the distance to the target rises at most from a point to the next, of paths (..., L): (...)."""
    return np.asarray(np.diff(to_target, axis=-1).max(axis=-1))


def _softmax(course: Course) -> Claim:
    shares = softmax_share(course.arrays["to_target"][:, -1])
    aim = np.degrees(course.arrays["aims"][:, -1, -1])
    return Claim(
        claim="The softmax does most of the approach to the target",
        source=f"{REPLICATION}: 0.92 to 1.0 rad at 31 to 36 degrees",
        run=course.what,
        outcome=f"{numbers.percent(float(shares.mean()))} of the approach; a step of "
        f"{numbers.loss(float(course.arrays['steps'][:, -1, -1].mean()))} at {aim.mean():.0f} degrees from the target",
        agrees=bool((shares > 0.5).all()),  # noqa: PLR2004 - most of it
    )


def softmax_share(to_target: Array) -> Array:
    """Of the whole approach to the target, the share of the last step, of paths (..., L): (...)."""
    return np.asarray((to_target[..., -2] - to_target[..., -1]) / (to_target[..., 0] - to_target[..., -1]))


def _blocks(course: Course) -> tuple[Claim, ...]:
    """Of residual networks alone."""
    steps = [place for place, name in enumerate(course.names[1:]) if name.startswith("block")]
    if not steps:
        return ()
    read_out = course.names.index("logits") - 1
    length, aims = course.arrays["steps"][:, -1], np.degrees(course.arrays["aims"][:, -1])
    block, low, high = length[:, steps], float(aims[:, steps].min()), float(aims[:, steps].max())
    return (
        Claim(
            claim="Residual blocks take small steps, almost at right angles to the way to the target; the read-out's "
            "is larger, at such an angle too",
            source=f"{REPLICATION}: blocks .05 to .10 rad at 76 to 89 degrees, read-out .41 to .48 rad at 75 to 82",
            run=course.what,
            outcome=f"blocks {numbers.loss(float(block.min()))} to {numbers.loss(float(block.max()))} at {low:.0f} to "
            f"{high:.0f} degrees; read-out {numbers.loss(float(length[:, read_out].mean()))} at "
            f"{aims[:, read_out].mean():.0f} degrees",
            agrees=bool((block.max(1) < length[:, read_out]).all())
            and _SIDEWAYS[0] <= low
            and high <= _SIDEWAYS[1]
            and bool((aims[:, read_out] >= _SIDEWAYS[0]).all()),
        ),
    )


def _row(course: Course, values: Array) -> str:
    return ", ".join(f"{numbers.loss(float(value))} ({name})" for name, value in zip(course.names, values, strict=True))
