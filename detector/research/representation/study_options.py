"""What studies of paths share: which networks are trained, and what their paths are measured on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

from detector.errors import AnalysisError
from detector.research.networks import trained_networks
from detector.research.representation.kinds import Maps
from detector.research.representation.path_jobs import Trained
from detector.research.representation.probe import Probe
from detector.research.representation.spaces.centring import MOST_INPUTS
from detector.research.representation.spaces.kinds import SpaceKind
from detector.research.representation.spaces.registry import SPACES
from detector.training.architectures import OF_WIDTHS, check_network
from detector.training.kinds import OptimiserKind
from detector.training.naming import NetworkName
from detector.training.options import PlanOptions
from detector.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from detector.research.representation.spaces.base import LengthSpace
    from detector.research.studies import Workplace
    from detector.training.data import LabelledImages

MAX_SEEDS: Final = 100
MAX_LAYERS: Final = 1000
_LEAST_INPUTS = 10


def training(
    epochs: int = 4,
    learning_rate: float = 1e-3,
    *,
    optimiser: OptimiserKind = OptimiserKind.ADAM,
    augment: bool = False,
) -> PlanOptions:
    """How networks are trained whose paths are measured; without weight decay.

    Args:
        epochs: Times every image is seen.
        learning_rate: The largest.
        optimiser: Whose steps are taken.
        augment: As for `PlanOptions`.

    Raises:
        AnalysisError: A value is out of range.
    """
    return PlanOptions(
        epochs=epochs, learning_rate=learning_rate, optimiser=optimiser, weight_decay=0.0, augment=augment
    )


def shape_name(architecture: str, depth: int, width: int) -> str:
    """A network's name from its family, depth and width.

    Args:
        architecture: A family, with its normalisation behind a '-' where it is not the usual one: ``resmlp``,
            ``resnet``, ``mlp``, ``resnet-layernorm``.
        depth: As the family counts it; hidden layers where it counts none.
        width: As the family counts it.

    Raises:
        AnalysisError: There is no such network.
    """
    if not 1 <= depth <= MAX_LAYERS:
        raise AnalysisError(f"depth must lie in 1..{MAX_LAYERS}, not {depth}")
    family, _, norm = architecture.partition("-")
    counted, widths = (None, (width,) * depth) if family in OF_WIDTHS else (depth, (width,))
    name = str(NetworkName(family, counted, widths, norm or None))
    check_network(name)
    return name


@dataclass(frozen=True, kw_only=True, eq=False)
class PathStudyOptions:
    """Networks and what their paths are measured on.

    Args:
        images: What networks are trained on and their paths measured on.
        networks: How they are trained.
        architecture: As for `shape_name`.
        depth: Of the network that other shapes are compared with.
        width: Likewise.
        seeds: Networks of each shape.
        inputs: Held-out images that paths are measured on, at most.
        space: Where.
        maps: How maps and tokens become units.
        test_share: Of the images, 0..1; no network is trained on them.
        seed: Of the split and the networks.

    Raises:
        AnalysisError: A value is out of range, or there is no such network.
    """

    images: LabelledImages
    networks: PlanOptions = field(default_factory=training)
    architecture: str = "resmlp"
    depth: int = 4
    width: int = 64
    seeds: int = 3
    inputs: int = 1000
    space: LengthSpace = SPACES[SpaceKind.ANGULAR_CKA]
    maps: Maps = Maps.FLAT
    test_share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.seeds <= MAX_SEEDS:  # noqa: PLR2004 - without two there is no interval
            raise AnalysisError(f"seeds must lie in 2..{MAX_SEEDS}, not {self.seeds}")
        if not _LEAST_INPUTS <= self.inputs <= MOST_INPUTS:
            raise AnalysisError(f"inputs must lie in {_LEAST_INPUTS}..{MOST_INPUTS}, not {self.inputs}")
        if not 0 < self.test_share < 1:
            raise AnalysisError(f"test_share must lie between 0 and 1, not {self.test_share}")
        shape_name(self.architecture, self.depth, self.width)

    @property
    def epochs(self) -> tuple[int, ...]:
        """Those at which networks of the first shape are looked at: 0, 1, 2, 4, ... and the last."""
        return self.networks.doubling_epochs

    def small(self) -> Self:
        """The same for seconds: two networks of each shape, trained shortly, on few inputs."""
        networks = replace(self.networks, epochs=min(self.networks.epochs, 2))
        return replace(self, networks=networks, seeds=2, inputs=min(self.inputs, 200))

    def split(self) -> tuple[LabelledImages, Probe]:
        """Training images, and what paths are measured on.

        Raises:
            AnalysisError: There are too few.
        """
        train, rest = self.images.split(round(len(self.images) * (1 - self.test_share)), self.seed)
        return train, Probe(rest.head(self.inputs), self.space, self.maps)

    def name(self, depth: int | None = None, width: int | None = None) -> str:
        """Of a network; the first shape's depth and width where none is given."""
        return shape_name(self.architecture, depth or self.depth, width or self.width)

    def trained(self, workplace: Workplace, train: LabelledImages, depth: int, width: int) -> Trained:
        """Networks of a shape, one for each seed, found or trained.

        Of the first shape they are looked at at `epochs`, of others at the start and the end.

        Raises:
            AnalysisError: There is no such network, or training diverges.
        """
        first = (depth, width) == (self.depth, self.width)
        epochs = self.epochs if first else (0, self.networks.epochs)
        name, plan = self.name(depth, width), self.networks.plan(train)
        numbers = range(self.seed * MAX_SEEDS, self.seed * MAX_SEEDS + self.seeds)
        recipes = [TrainingRecipe.of(name, train, plan, init_seed=each, order_seed=each) for each in numbers]
        steps = [epoch * self.networks.epoch_steps(train) for epoch in epochs]
        return Trained(recipes[0], trained_networks(workplace, f"Training {name}", recipes, train, steps), epochs)

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready; images by their digest."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return plain | {
            "images": self.images.digest,
            "networks": self.networks.to_json(),
            "space": self.space.name,
            "maps": self.maps.value,
        }
