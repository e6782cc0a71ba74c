"""What the studies of paths are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from detector.errors import AnalysisError
from detector.research.representation.attacked_study import AttackedOptions
from detector.research.representation.classifier_study import ClassifierOptions
from detector.research.representation.kinds import Maps
from detector.research.representation.shape_study import ShapeOptions
from detector.research.representation.spaces.kinds import SpaceKind
from detector.research.representation.spaces.registry import SPACES
from detector.research.representation.study_options import PathStudyOptions, training

if TYPE_CHECKING:
    from detector.training.data import LabelledImages
    from detector.training.options import PlanOptions

USUAL: Final = {"resmlp": ((2, 4, 8), (16, 64, 256)), "resnet": ((8, 14, 20), (4, 8, 16))}
"""Depths and widths of a family of networks, where none are given; the middle ones are those of the first shape."""
_OTHERS: Final = ((1, 2, 3), (16, 64, 256))
_O = TypeVar("_O", bound=PathStudyOptions)


@dataclass(frozen=True, kw_only=True, eq=False)
class RepresentationOptions:
    """What all studies of paths share, and what one of them needs.

    Args:
        images: What networks are trained on and their paths measured on; None where only a given classifier is studied.
        networks: How networks are trained.
        architecture: As for `detector.research.representation.study_options.shape_name`.
        depths: Of networks of the usual width; empty for the usual ones.
        widths: Of networks of the usual depth; empty for the usual ones.
        depth: Of the network that others are compared with; None for the middle of `depths`.
        width: Likewise.
        seeds: Networks of each shape.
        inputs: Images that paths are measured on, at most.
        space: Where.
        maps: How maps and tokens become units.
        levels: Most by which attacks change a pixel, in 255ths; None for 32 of grey images and 8 of others.
        quick: Whether studies take the smallest sizes that still show something.
        seed: Of all that is drawn.

    Raises:
        AnalysisError: A value is out of range, or there is no such network.
    """

    images: LabelledImages | None = None
    networks: PlanOptions = field(default_factory=training)
    architecture: str = "resmlp"
    depths: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()
    depth: int | None = None
    width: int | None = None
    seeds: int = 3
    inputs: int = 1000
    space: SpaceKind = SpaceKind.ANGULAR_CKA
    maps: Maps = Maps.FLAT
    levels: float | None = None
    quick: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.images is not None:
            _ = self.of_shapes, self.of_attacks  # which refuse what they can't use

    @property
    def of_training(self) -> PathStudyOptions:
        """What is followed over training."""
        return self._small_or_whole(PathStudyOptions(**self._shared()))

    @property
    def of_shapes(self) -> ShapeOptions:
        """What is compared by depth and width."""
        depths, widths = self._sizes()
        return self._small_or_whole(ShapeOptions(**self._shared(), depths=depths, widths=widths))

    @property
    def of_attacks(self) -> AttackedOptions:
        """What is attacked."""
        return self._small_or_whole(AttackedOptions(**self._shared(), levels=self.levels))

    @property
    def of_classifier(self) -> ClassifierOptions:
        """How a given classifier is measured."""
        inputs = min(self.inputs, _QUICK_INPUTS) if self.quick else self.inputs
        return ClassifierOptions(
            inputs=inputs, space=SPACES[self.space], maps=self.maps, levels=self.levels, seed=self.seed
        )

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready; images by their digest."""
        depths, widths = self._sizes()
        left_out = {"images", "networks"}
        plain = {name: value for name, value in vars(self).items() if name not in left_out} | self.networks.to_json()
        found = {"depths": list(depths), "widths": list(widths), "space": self.space.value, "maps": self.maps.value}
        return plain | found | {"depth": self.depth or _middle(depths), "width": self.width or _middle(widths)}

    def _sizes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        depths, widths = USUAL.get(self.architecture.partition("-")[0], _OTHERS)
        return self.depths or depths, self.widths or widths

    def _shared(self) -> dict[str, Any]:
        if self.images is None:
            raise AnalysisError("there are no images to train networks on")
        depths, widths = self._sizes()
        same = ("images", "networks", "architecture", "seeds", "inputs", "maps", "seed")
        return {name: getattr(self, name) for name in same} | {
            "space": SPACES[self.space],
            "depth": self.depth or _middle(depths),
            "width": self.width or _middle(widths),
        }

    def _small_or_whole(self, whole: _O) -> _O:
        return whole.small() if self.quick else whole


_QUICK_INPUTS = 200


def _middle(values: tuple[int, ...]) -> int:
    return values[len(values) // 2]
