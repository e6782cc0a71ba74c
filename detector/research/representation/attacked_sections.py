"""What the study of attacks found: drawn, and beside what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.reporting import numbers
from detector.reporting.drawing import LINE_STYLES, MUTED, SERIES, chart, figure
from detector.reporting.parts import Section, paragraph, row_head, wide
from detector.research.claims import Claim
from detector.research.representation.parting import NOISE
from detector.research.representation.plain import plain
from detector.research.representation.training_sections import named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from detector.research.representation.spaces.base import Array
    from detector.shards.stages import Arrays

ASKED: Final = "asked by this project: which layers to trust for evidence"
TWO_SEEDS: Final = "two seeds"
HALVES: Final = "two halves of the units"


@dataclass(frozen=True, eq=False)
class Parted:
    """How far moved images are from themselves.

    Args:
        what: On what, in words.
        names: Of the points of a path.
        kinds: What they are moved by.
        arrays: As of `attacked_job`, (networks, ...).
        pairs: float64 (pairs, 1, L, L), as of `pairs_job`; None where there is one network alone.
    """

    what: str
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    arrays: Arrays
    pairs: Array | None

    @property
    def networks(self) -> int:
        """How many."""
        return len(self.arrays["parted"])

    @property
    def two_seeds(self) -> Array | None:
        """float64 (pairs, L): how far networks of two seeds are apart at the same layer."""
        return None if self.pairs is None else np.asarray(np.diagonal(self.pairs[:, -1], axis1=1, axis2=2))

    def by(self, kind: str) -> Array:
        """float64 (L,): the mean over networks of how far images moved so are from themselves."""
        return np.asarray(self.arrays["parted"][:, self.kinds.index(kind)].mean(0))

    @property
    def attacks(self) -> tuple[str, ...]:
        """Kinds that are no noise."""
        return tuple(kind for kind in self.kinds if kind != NOISE)

    @property
    def yardstick(self) -> tuple[str, Array]:
        """What parting is compared with, and that, (L,): two seeds, or for one network noise of the same size."""
        two = self.two_seeds
        return (NOISE, self.by(NOISE)) if two is None else (TWO_SEEDS, np.asarray(two.mean(0)))

    def beyond(self, kind: str) -> list[str]:
        """Points behind the images where images moved so part more than the yardstick."""
        _, least = self.yardstick
        return [name for name, far, near in list(zip(self.names, self.by(kind), least, strict=True))[1:] if far > near]

    def figures(self) -> dict[str, Any]:
        """JSON values."""
        two = self.two_seeds
        return {
            "what": self.what,
            "points": list(self.names),
            "parted": {kind: plain(self.arrays["parted"][:, place]) for place, kind in enumerate(self.kinds)},
            "classified correctly": {
                kind: plain(self.arrays["right"][:, place]) for place, kind in enumerate(self.kinds)
            },
            "end to target": {kind: plain(self.arrays["ends"][:, place]) for place, kind in enumerate(self.kinds)},
            "to target": plain(self.arrays["to_target"]),
            HALVES: plain(self.arrays["halves"]),
            TWO_SEEDS: None if two is None else plain(two),
            "compared with": self.yardstick[0],
            "layers beyond": {kind: self.beyond(kind) for kind in self.attacks},
        }


def attacked_claims(parted: Parted) -> tuple[Claim, ...]:
    """What is asked, put to the test; nothing without attacks."""
    found = []
    word, least = parted.yardstick
    for kind in parted.attacks:
        beyond = parted.beyond(kind)
        ratios = parted.by(kind)[1:] / least[1:]
        best = int(np.nanargmax(ratios))
        found.append(
            Claim(
                claim=f"There are layers at which {kind} moves images further than {word} are apart"
                if word == TWO_SEEDS
                else f"At every hidden layer {kind} moves images further than {word} does",
                source=ASKED,
                run=parted.what,
                outcome=f"at {', '.join(beyond) or 'none'}; most at {parted.names[best + 1]}, "
                f"{numbers.loss(float(ratios[best]))} times as far",
                agrees=bool(beyond) if word == TWO_SEEDS else set(parted.names[1:-2]) <= set(beyond),
            )
        )
    return tuple(found)


def attacked_charts(parted: Parted) -> dict[str, Markup]:
    """All charts, by name."""
    two = parted.two_seeds
    lines: list[tuple[str, Array, str, str]] = [
        (kind, parted.by(kind), SERIES[place], LINE_STYLES[0]) for place, kind in enumerate(parted.attacks)
    ]
    lines.append((NOISE, parted.by(NOISE), SERIES[4], LINE_STYLES[1]))
    lines.append((HALVES, parted.arrays["halves"].mean(0), MUTED, LINE_STYLES[2]))
    if two is not None:
        lines.append((TWO_SEEDS, np.asarray(two.mean(0)), SERIES[6], LINE_STYLES[0]))

    def paint(drawn: Figure) -> None:
        axis = drawn.subplots()
        for name, values, colour, style in lines:
            axis.plot(values, color=colour, linestyle=style, marker="o", markersize=3.5, label=name)
        named(axis, parted.names)
        axis.set_ylim(bottom=0)
        axis.set_title(f"distance at the same layer, n = {_networks(parted)}")
        axis.legend()

    return {"layers": chart("attacked-layers", "how far attacked images part, layer by layer", (7.4, 4.0), paint)}


def attacked_sections(parted: Parted, charts: dict[str, Markup]) -> tuple[Section, ...]:
    """The study for people.

    Args:
        parted: What was found.
        charts: As of `attacked_charts`.
    """
    word, least = parted.yardstick
    return (
        Section.of(
            "attacked",
            "Clean and attacked images, layer by layer",
            paragraph(
                f"{parted.what}. The same images as they are and moved, as two points at each layer: how far are they "
                "apart? Beside it what no attack explains: noise of the same size, and two halves of a layer's units"
                + (", and two networks that differ in their seeds." if word == TWO_SEEDS else ".")
            ),
            figure(charts["layers"], f"n = {_networks(parted)}; means."),
            _table(parted, least),
        ),
    )


def _networks(parted: Parted) -> str:
    return "1 network" if parted.networks == 1 else f"{parted.networks} networks"


def _table(parted: Parted, least: Sequence[float] | Array) -> Markup:
    word = parted.yardstick[0]
    others = [kind for kind in parted.kinds if kind != word]
    halves = parted.arrays["halves"].mean(0)
    rows = [
        [
            row_head(name),
            *(numbers.loss(float(parted.by(kind)[place])) for kind in others),
            numbers.loss(float(least[place])),
            numbers.loss(float(halves[place])) if np.isfinite(halves[place]) else numbers.NOTHING,
        ]
        for place, name in enumerate(parted.names)
    ]
    right = [
        [row_head(kind), numbers.percent(float(parted.arrays["right"][:, place].mean()))]
        for place, kind in enumerate(parted.kinds)
    ]
    return wide(["point", *others, word, HALVES], rows) + wide(["moved by", "classified correctly"], right)
