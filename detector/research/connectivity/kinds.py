"""The kinds of pairs that are compared, and the loss curves of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.errors import AnalysisError, ClassifierError, MissingExtraError
from detector.paths.curves import LossCurves
from detector.paths.pairing import Pairs
from detector.paths.samples import BarrierSample, averaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.paths.samples import Measure
    from detector.research.connectivity.material import Moved, PairMaterial


class Kind(StrEnum):
    """What the two ends of a path are."""

    REAL = "real-real"
    PAPER = "real-adversarial"
    ROUNDED = "real-adversarial, rounded"
    BOUNDED = "real-adversarial, PGD"
    ROUGH = "real-synthetic, rough"
    SMOOTH = "real-synthetic, smooth"
    SYNTHETIC = "synthetic-synthetic"
    TWO_CLASSES = "two classes"


ADVERSARIAL: Final = (Kind.PAPER, Kind.ROUNDED, Kind.BOUNDED)
CANNOT: Final = (AnalysisError, ClassifierError, MissingExtraError)
"""Errors that leave out one part of a study; whatever else is wrong ends it."""


@dataclass(frozen=True, eq=False)
class Curved:
    """One kind of pair, measured.

    Args:
        kind: Which.
        curves: The loss along its paths.
        classes: int64 (P,), whose loss.
        tried: How many pairs were tried: attacks do not always succeed.
        note: How the second end was made, where that is not plain from the name; empty otherwise.
    """

    kind: Kind
    curves: LossCurves
    classes: NDArray[np.int64]
    tried: int
    note: str = ""

    @property
    def sample(self) -> BarrierSample:
        """Its barriers."""
        return BarrierSample.of(self.curves, self.classes)


@dataclass(frozen=True, eq=False)
class Anchored:
    """Measures from real and from attacked images to anchors of their class, averaged over the anchors.

    Args:
        anchors: What the anchors are, such as ``4 rough prototypes``.
        real: float32 (N,) by measure, of images nobody attacked.
        attacked: The same of attacked images, by the kind of pair they are from.
    """

    anchors: str
    real: Mapping[Measure, Float32Array]
    attacked: Mapping[Kind, Mapping[Measure, Float32Array]]


@dataclass(frozen=True, eq=False)
class Measured:
    """All kinds that could be measured.

    Args:
        kinds: Those that could be had, in the order of `Kind`.
        anchors: Each kind of anchor.
        missing: What could not be had, a sentence each.
    """

    kinds: Mapping[Kind, Curved]
    anchors: tuple[Anchored, ...]
    missing: tuple[str, ...]


def measure(material: PairMaterial) -> Measured:
    """Walk the pairs of every kind; what can't be had is left out and said.

    Raises:
        ClassifierError: Not even two real images of a class can be measured.
    """
    missing = list(material.missing)
    kinds = {Kind.REAL: _real(material)}
    for kind, make in _OTHERS.items():
        try:
            kinds[kind] = make(material)
        except CANNOT as error:
            missing.append(f"{kind}: {error}")
    return Measured(kinds, tuple(_anchors(material, kinds)), tuple(missing))


def _real(material: PairMaterial) -> Curved:
    between = material.between(material.first, material.second, material.classes)
    curves = material.curves("pairs of real images", between, len(material))
    return Curved(Kind.REAL, curves, material.classes, len(material))


def attacked(material: PairMaterial, kind: Kind) -> Moved:
    """The attacked images of a kind; the errors of `PairMaterial`, or none of them was moved to the class wanted."""
    moved = {Kind.PAPER: "paper", Kind.ROUNDED: "rounded", Kind.BOUNDED: "pgd"}[kind]
    found: Moved = getattr(material, moved)
    if not len(found.rows):
        raise AnalysisError(f"none of {len(material)} images was moved to the class of its pair by {found.name}")
    return found


def _real_adversarial(material: PairMaterial, kind: Kind) -> Curved:
    moved = attacked(material, kind)
    classes = material.classes[moved.rows]

    def pairs(rows: slice) -> Pairs:
        chosen = moved.rows[rows]
        return Pairs(material.images(material.first[chosen]), moved.images[chosen], classes[rows])

    curves = material.curves(f"pairs {kind}", pairs, len(moved.rows), **_made(material, kind))
    return Curved(kind, curves, classes, len(material), moved.name)


def _real_synthetic(material: PairMaterial, kind: Kind) -> Curved:
    """Every image to one of its class's prototypes, to each of them in turn."""
    per_class, rows = material.options.prototypes, np.arange(len(material))
    curves = _to_prototypes(material, Kind.REAL, smooth=kind is Kind.SMOOTH)
    chosen = curves.losses[rows * per_class + rows % per_class]
    return Curved(kind, LossCurves(curves.alphas, chosen), material.classes, len(material))


def _synthetic(material: PairMaterial) -> Curved:
    """All pairs of a class's prototypes, rough and smooth ones together."""
    images = np.concatenate([material.prototypes(smooth=smooth) for smooth in (False, True)], axis=1)
    both = np.array(list(combinations(range(images.shape[1]), 2)), np.int64)
    classes = np.arange(len(images)).repeat(len(both))
    first, second = (np.tile(column, len(images)) for column in both.T)

    def pairs(rows: slice) -> Pairs:
        own = classes[rows]
        return Pairs(images[own, first[rows]], images[own, second[rows]], own)

    curves = material.curves("pairs of prototypes", pairs, len(classes), **_prototype_options(material))
    return Curved(Kind.SYNTHETIC, curves, classes, len(classes))


def _two_classes(material: PairMaterial) -> Curved:
    """The same pairs as the attacked ones, before the attack: what another class's content does by itself."""
    there = np.flatnonzero(material.others >= 0)
    if not len(there):
        raise AnalysisError("no image of another class is classified correctly")
    classes = material.classes[there]
    between = material.between(material.first[there], material.others[there], classes)
    curves = material.curves("pairs of two classes", between, len(there))
    return Curved(Kind.TWO_CLASSES, curves, classes, len(there))


_OTHERS: Final[Mapping[Kind, Callable[[PairMaterial], Curved]]] = {
    **{kind: partial(_real_adversarial, kind=kind) for kind in ADVERSARIAL},
    **{kind: partial(_real_synthetic, kind=kind) for kind in (Kind.ROUGH, Kind.SMOOTH)},
    Kind.SYNTHETIC: _synthetic,
    Kind.TWO_CLASSES: _two_classes,
}


def _anchors(material: PairMaterial, kinds: Mapping[Kind, Curved]) -> Iterator[Anchored]:
    there = [kind for kind in ADVERSARIAL if kind in kinds]
    if there:
        measured = {kind: averaged(kinds[kind].curves, 1) for kind in (Kind.REAL, *there)}
        yield Anchored("1 real image", measured[Kind.REAL], {kind: measured[kind] for kind in there})
    per_class = material.options.prototypes
    for kind, name in ((Kind.ROUGH, "rough"), (Kind.SMOOTH, "smooth")):
        if there and kind in kinds:
            smooth = kind is Kind.SMOOTH
            found = {
                each: averaged(_to_prototypes(material, each, smooth=smooth), per_class) for each in (Kind.REAL, *there)
            }
            attacks = {each: found[each] for each in there}
            yield Anchored(f"{per_class} {name} prototypes, averaged", found[Kind.REAL], attacks)


def _to_prototypes(material: PairMaterial, kind: Kind, *, smooth: bool) -> LossCurves:
    """Paths from images to all prototypes of their class, those of one image beside each other.

    Args:
        material: Whose second images are walked from, or attacked ones.
        kind: `Kind.REAL` for the second images, an adversarial one for attacked ones.
        smooth: Which prototypes.
    """
    prototypes, per_class = material.prototypes(smooth=smooth), material.options.prototypes
    moved = None if kind is Kind.REAL else attacked(material, kind)
    sources = np.arange(len(material)) if moved is None else moved.rows

    def pairs(rows: slice) -> Pairs:
        number, anchor = np.divmod(np.arange(rows.start, rows.stop), per_class)
        source = sources[number]
        starts = material.images(material.second[source]) if moved is None else moved.images[source]
        own = material.classes[source]
        return Pairs(starts, prototypes[own, anchor], own)

    title = f"{kind} to {'smooth' if smooth else 'rough'} prototypes"
    count = len(sources) * per_class
    return material.curves(title, pairs, count, **_made(material, kind), **_prototype_options(material))


def _made(material: PairMaterial, kind: Kind) -> dict[str, Any]:
    """What decides a kind's attacked images beyond the pairs, JSON values."""
    return {"attack_steps": material.options.attack_steps} if kind in {Kind.PAPER, Kind.ROUNDED} else {}


def _prototype_options(material: PairMaterial) -> dict[str, Any]:
    options = material.options
    return {
        "prototypes": options.prototypes,
        "prototype_steps": options.prototype_steps,
        "prototype_loss": options.prototype_loss,
        "smoothness": options.smoothness,
    }
