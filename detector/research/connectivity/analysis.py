"""The analysis of input-space mode connectivity: all its studies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from detector.research.analysis import AnalysisKind
from detector.research.connectivity import (
    bypass_study,
    family_study,
    film,
    pair_study,
    percolation_study,
    published_study,
    training_study,
)
from detector.research.connectivity.options import ConnectivityOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from detector.research.studies import Study, Workplace


class Needs(StrEnum):
    """What a study works on; without it, it is done only if it is asked for by name, and then says what it lacks."""

    NOTHING = "nothing"
    IMAGES = "a classifier and images"
    BARRIERS = "published barriers"


@dataclass(frozen=True)
class Entry:
    """A study of the analysis.

    Args:
        run: Does it.
        needs: What it works on.
    """

    run: Callable[[Workplace, ConnectivityOptions], Study]
    needs: Needs


STUDIES: Final[Mapping[str, Entry]] = {
    published_study.NAME: Entry(published_study.published_study, Needs.BARRIERS),
    pair_study.NAME: Entry(pair_study.pair_study, Needs.IMAGES),
    bypass_study.NAME: Entry(bypass_study.bypass_study, Needs.IMAGES),
    family_study.NAME: Entry(lambda at, options: family_study.study(at, options.families), Needs.IMAGES),
    film.NAME: Entry(lambda at, options: film.study(at, options.film), Needs.IMAGES),
    training_study.NAME: Entry(lambda at, options: training_study.training_study(at, options.training), Needs.NOTHING),
    percolation_study.NAME: Entry(
        lambda at, options: percolation_study.percolation_study(at, options.percolation), Needs.NOTHING
    ),
}
"""All studies, in the order they are run and reported: what is new is a line here."""

KIND: Final = AnalysisKind[ConnectivityOptions](
    name="connectivity",
    title="Input-space mode connectivity",
    units="Losses are natural cross-entropies of the class; distances are on pixels in [0, 1].",
    studies={name: entry.run for name, entry in STUDIES.items()},
)


def studies_of(*, given: bool, published: bool) -> tuple[str, ...]:
    """The studies that have something to work on, by name.

    Args:
        given: Whether there is a classifier with images.
        published: Whether there are published barriers.
    """
    # What needs nothing takes long: whoever gave only published barriers did not ask for it.
    there = {Needs.NOTHING: given, Needs.IMAGES: given, Needs.BARRIERS: published}
    return tuple(name for name, entry in STUDIES.items() if there[entry.needs])


def needs_images(studies: Sequence[str]) -> bool:
    """Whether any of these studies works on a classifier and images; names there are none of don't."""
    return any(name in studies and entry.needs is Needs.IMAGES for name, entry in STUDIES.items())
