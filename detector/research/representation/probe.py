"""What the paths of a study are measured on: the same images for every network, in one space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from detector.research.representation.kinds import Maps
from detector.research.representation.path import RepresentationPath, target_point
from detector.research.representation.torch_layers import TorchLayers
from detector.training.plan import TrainingPlan

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array
    from detector.research.representation.layered import Layered
    from detector.research.representation.spaces.base import Array, LengthSpace
    from detector.training.data import LabelledImages
    from detector.training.recipe import TrainingRecipe

_KEPT = 32  # graphs


@dataclass(frozen=True, eq=False)
class Probe:
    """Images that no network was trained on, and how what networks say of them is compared.

    Args:
        images: Which.
        space: Where points lie.
        maps: How maps and tokens become units.
    """

    images: LabelledImages
    space: LengthSpace
    maps: Maps = Maps.FLAT

    @cached_property
    def target(self) -> Array:
        """Their classes as a point."""
        return target_point(self.images.labels, self.images.classes, self.space)

    def path(self, network: Layered, images: Float32Array | None = None) -> RepresentationPath:
        """Of a network.

        Args:
            network: Which.
            images: What it sees instead of the images themselves: the same ones, attacked, say.

        Raises:
            AnalysisError, ClassifierError: As for `RepresentationPath.of`.
        """
        seen = self.images.canonical if images is None else images
        return RepresentationPath.of(network, seen, self.target, self.space, maps=self.maps)

    def accuracy(self, network: Layered, images: Float32Array | None = None) -> float:
        """Share of the images, or of others in their place, that a network takes for what they are, 0..1."""
        seen, most = self.images.canonical if images is None else images, network.most
        right = 0
        for begin in range(0, len(seen), most):
            found = network.say(seen[begin : begin + most], ()).logits.argmax(axis=1)
            right += int((found == self.images.labels[begin : begin + most]).sum())
        return right / len(seen)

    def to_json(self) -> dict[str, Any]:
        """All that measurements depend on, JSON values."""
        return {"images": self.images.digest, "space": self.space.name, "maps": self.maps.value}


def layers_of(recipe: TrainingRecipe) -> TorchLayers:
    """A recipe's network, to be given the weights it ended with.

    Raises:
        AnalysisError: It can't be traced.
    """
    return _traced(replace(recipe, data="", plan=TrainingPlan(), init_seed=0, order_seed=0))


@lru_cache(maxsize=_KEPT)
def _traced(recipe: TrainingRecipe) -> TorchLayers:
    """Tracing takes seconds, and networks of one architecture and kind of images have one graph."""
    return TorchLayers.of(recipe.classifier(recipe.network()))
