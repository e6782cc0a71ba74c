"""Networks to be compared: which they are, and one architecture's program, symmetries and weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from detector.classifiers.program import Program
from detector.errors import AnalysisError
from detector.research.permutation.tracing import derive_spec
from detector.training.architectures import check_network
from detector.training.naming import NetworkName
from detector.training.options import PlanOptions
from detector.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from torch import Tensor

    from detector.research.permutation.spec import PermutationSpec
    from detector.shards.stages import Arrays
    from detector.training.data import LabelledImages

SHORT: Final = {"mlp": "mlp-1-1", "cnn": "cnn-1-2-4-layernorm", "resnet20": "resnet20-1-layernorm"}
"""What a word alone stands for. As in the published experiments, what is normalised is so by layer."""
_EXAMPLES = 3


def at_width(architecture: str, width: int) -> str:
    """The name of a network of a width.

    Args:
        architecture: A network's name whose widths are counted in units: ``mlp-1-1``, ``resnet20-1-layernorm``; or one
            of `SHORT`.
        width: The unit.

    Raises:
        AnalysisError: There is no such network.
    """
    given = NetworkName.parse(SHORT.get(architecture, architecture))
    if given is None:
        raise AnalysisError(
            f"architecture: {architecture!r} names no widths; {', '.join(SHORT)}, or a network's name with widths in "
            "units, such as mlp-1-1 or resnet20-1-layernorm"
        )
    found = str(replace(given, widths=tuple(each * width for each in given.widths)))
    check_network(found)
    return found


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(PlanOptions):
    """What networks are compared; see `PlanOptions` for how they are trained.

    Args:
        architecture: As for `at_width`.

    Raises:
        AnalysisError: A value is out of range, or there is no such network.
    """

    architecture: str = "mlp"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_width(self.architecture, 2)

    def recipe(self, width: int, images: LabelledImages, seed: int) -> TrainingRecipe:
        """What a network of a width is made from; `seed` draws its first weights and the order of images.

        Raises:
            AnalysisError: There is no such network, or too many steps.
        """
        name = at_width(self.architecture, width)
        return TrainingRecipe.of(name, images, self.plan(images), init_seed=seed, order_seed=seed)


@dataclass(frozen=True, eq=False)
class Architecture:
    """All that networks of one architecture share when they are aligned.

    Args:
        program: Runs any of them.
        spec: Their symmetries, proved.
    """

    program: Program
    spec: PermutationSpec

    @classmethod
    def of(cls, recipe: TrainingRecipe) -> Architecture:
        """That of a recipe's network.

        Raises:
            AnalysisError: It can't be traced, or has no symmetries, or one of them does not hold; names it.
        """
        example = torch.rand(_EXAMPLES, *recipe.shape, generator=torch.Generator().manual_seed(0))
        program = Program.of(recipe.network().eval(), example, name=recipe.architecture)
        return cls(program, derive_spec(program, example, name=recipe.architecture))

    def state(self, weights: Arrays, *index: int) -> dict[str, Tensor]:
        """A network's parameters and buffers for alignment.

        Args:
            weights: By name, as `detector.research.networks.trained_networks` gives them.
            index: Which of them.
        """
        return {name: torch.from_numpy(np.array(weights[name][index])) for name in self.program.state}
