"""What is found of the families of paths, for people: tables, a chart, claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.reporting import numbers
from detector.reporting.drawing import LINE_STYLES, SERIES, chart, figure
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.claims import Claim

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from detector.classifiers.base import Float32Array
    from detector.metrics import RealisedRate

_SIZE = (8.5, 3.8)
_CONNECTS = 0.95  # the share of pairs of which it is said that they connect


@dataclass(frozen=True, eq=False)
class Tried:
    """What one family of curves gave with one budget.

    Args:
        family: Its name.
        budget: Gradients that a pair might cost.
        heights: float32 (P,), the largest loss on each path, nats.
        lengths: float32 (P,), of the paths in units of the straight ones.
        gradients: What a pair did cost on average: forward and backward passes of one image.
        forwards: Passes on top of these that measured the path, on average.
        connected: Pairs whose height is below epsilon.
    """

    family: str
    budget: int
    heights: Float32Array
    lengths: Float32Array
    gradients: float
    forwards: float
    connected: RealisedRate

    def figures(self) -> dict[str, Any]:
        """For programs."""
        return {
            "family": self.family,
            "budget": self.budget,
            "gradients": self.gradients,
            "forwards": self.forwards,
            "connected": self.connected.flagged,
            "pairs": self.connected.total,
            "median_height": float(np.median(self.heights)),
            "median_length": float(np.median(self.lengths)),
        }


@dataclass(frozen=True, eq=False)
class JoinedGroups:
    """What one shape gave for groups of one size.

    Args:
        shape: Its name.
        dimension: One less than the inputs of a group.
        free: Points that were found.
        gradients: Taken for each group.
        heights: float32 (G,), the largest loss measured on each, nats.
        low_share: Of all points measured, those of a loss below epsilon.
        connected: Groups whose height is below epsilon.
    """

    shape: str
    dimension: int
    free: int
    gradients: int
    heights: Float32Array
    low_share: float
    connected: RealisedRate

    def figures(self) -> dict[str, Any]:
        """For programs."""
        return {
            "shape": self.shape,
            "dimension": self.dimension,
            "free_points": self.free,
            "gradients": self.gradients,
            "connected": self.connected.flagged,
            "groups": self.connected.total,
            "median_height": float(np.median(self.heights)),
            "low_share": self.low_share,
        }


def curves_section(tried: Sequence[Tried], counts: Mapping[str, int], epsilon: float) -> Section:
    """The families of curves beside one another."""
    said = (
        f"Of {counts['pairs']} pairs of images of one class, all classified correctly, {counts['ends_too_high']} have"
        f" an end whose own loss reaches {epsilon:g} and can't be connected by any path,"
        f" {counts['straight_connected']} are connected by the straight one. The other {counts['joined']} are joined"
        " by every family with the same number of gradients: forward and backward passes of one image."
    )
    if not tried:
        return Section.of("families", "Families of paths", paragraph(said))
    head = ("family", "gradients", "forwards", "connected", "median height", "length / straight")
    rows = [
        (
            row_head(one.family),
            f"{one.gradients:.1f}",
            f"{one.forwards:.0f}",
            numbers.realised(one.connected),
            f"{np.median(one.heights):.3f}",
            f"{np.median(one.lengths):.3f}",
        )
        for one in tried
    ]
    drawn = chart(
        "families", "Share of pairs connected by the number of gradients, a line per family.", _SIZE, _lines(tried)
    )
    caption = f"Share of {counts['joined']} pairs whose path stays below {epsilon:g}, by gradients taken per pair."
    return Section.of("families", "Families of paths", paragraph(said), figure(drawn, caption), wide(head, rows))


def _lines(tried: Sequence[Tried]) -> Any:
    def paint(canvas: Figure) -> None:
        axis = canvas.subplots()
        for number, family in enumerate(dict.fromkeys(one.family for one in tried)):
            own = [one for one in tried if one.family == family]
            axis.plot(
                [one.gradients for one in own],
                [one.connected.rate for one in own],
                color=SERIES[number % len(SERIES)],
                linestyle=LINE_STYLES[number // 2 % len(LINE_STYLES)],
                marker=".",
                label=family,
            )
        axis.set_xscale("log", base=2)
        axis.set_ylim(-0.03, 1.03)
        axis.set_xlabel("gradients per pair")
        axis.set_ylabel("pairs connected")
        canvas.legend(loc="outside right upper")

    return paint


def groups_section(groups: Sequence[JoinedGroups], epsilon: float) -> Section:
    """More than two inputs."""
    said = (
        "More than two inputs of a class, all of a loss below epsilon. A star joins them by straight arms through one"
        " free point; a cone fills in what lies between; a subdivided simplex has free points on every edge and face"
        f" too, and is low where all of a bent simplex of that dimension is. Epsilon is {epsilon:g}."
    )
    head = ("inputs", "shape", "free points", "gradients", "connected", "median height", "points below epsilon")
    rows = [
        (
            one.dimension + 1,
            row_head(one.shape),
            one.free,
            one.gradients,
            numbers.realised(one.connected),
            f"{np.median(one.heights):.3f}",
            numbers.percent(one.low_share),
        )
        for one in groups
    ]
    return Section.of("simplexes", "More than two modes", paragraph(said), wide(head, rows))


def claims(tried: Sequence[Tried], groups: Sequence[JoinedGroups], epsilon: float) -> tuple[Claim, ...]:
    """What is said of such paths, put to the test."""
    return (*_two_segments(tried, epsilon), *_modes(groups, epsilon))


def _two_segments(tried: Sequence[Tried], epsilon: float) -> list[Claim]:
    most = max((one.budget for one in tried), default=0)
    best = max((one.connected.rate for one in tried), default=0.0)
    near = [one for one in tried if one.connected.rate >= _CONNECTS * best and best]
    if not near:
        return []
    cheapest = min(near, key=lambda one: (one.gradients, one.lengths.mean()))
    once = [one for one in tried if one.budget == most and one.family.startswith("bypass, 1")]
    outcome = (
        f"the best share is {best:.1%}; {_CONNECTS:.0%} of it costs least by {cheapest.family}:"
        f" {cheapest.gradients:.1f} gradients, length {np.median(cheapest.lengths):.3f}"
    )
    if once:
        outcome += f"; one bypass with {most}: {numbers.realised(once[0].connected)}"
    return [
        Claim(
            claim="Two segments through one optimised point connect real pairs; nothing richer is needed.",
            source="Vrabel et al., Sec. 3.2 and 4.1 (real pairs)",
            run=(
                f"{len({one.family for one in tried})} families at up to {most} gradients,"
                f" {tried[0].connected.total} real pairs with a barrier, epsilon {epsilon:g}"
            ),
            outcome=outcome,
            agrees=bool(once) and once[0].connected.rate >= _CONNECTS * best,
        )
    ]


def _modes(groups: Sequence[JoinedGroups], epsilon: float) -> list[Claim]:
    found = [one for one in groups if one.shape == "subdivided simplex" and one.dimension > 1]
    flat = {one.dimension: one for one in groups if one.shape == "flat simplex"}
    if not found:
        return []
    parts = [
        f"{one.dimension + 1} inputs {one.connected.rate:.0%} (flat {flat[one.dimension].connected.rate:.0%})"
        for one in found
    ]
    return [
        Claim(
            claim="Low-loss connectors of dimension m join m + 1 modes, in input space as between networks.",
            source="Fort and Jastrzebski 2019, carried over",
            run=(
                f"subdivided simplexes, {found[0].gradients} gradients for each of {found[0].connected.total} groups,"
                f" epsilon {epsilon:g}"
            ),
            outcome="; ".join(parts),
            agrees=all(one.connected.rate >= _CONNECTS for one in found) or None,  # more gradients might
        )
    ]
