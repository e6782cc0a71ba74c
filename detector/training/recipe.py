"""A recipe: all that the weights of a trained network follow from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from detector.classifiers.base import ChannelOrder, ImageSpec
from detector.classifiers.torch import TorchClassifier
from detector.errors import AnalysisError
from detector.training.architectures import build_network, check_network
from detector.training.plan import TrainingPlan
from detector.training.trainer import drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from detector.training.data import LabelledImages

_CHANNELS = {1: ChannelOrder.GRAY, 3: ChannelOrder.RGB}


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """What a trained network is made from.

    Args:
        architecture: As for `build_network`.
        data: Digest of the training images.
        shape: Of an image: (channels, height, width).
        classes: How many.
        plan: How it is trained.
        mean: What the network subtracts from each channel; empty, like `std`, for nothing.
        std: What it divides each channel by.
        init_seed: Of the weights at the start.
        order_seed: Of the order of images and their augmentation.

    Raises:
        AnalysisError: There is no such network.
    """

    architecture: str
    data: str
    shape: tuple[int, int, int]
    classes: int
    plan: TrainingPlan = field(default_factory=TrainingPlan)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    init_seed: int = 0
    order_seed: int = 0

    def __post_init__(self) -> None:
        check_network(self.architecture)

    @classmethod
    def of(
        cls,
        architecture: str,
        images: LabelledImages,
        plan: TrainingPlan,
        *,
        standardise: bool = True,
        init_seed: int = 0,
        order_seed: int = 0,
    ) -> TrainingRecipe:
        """A recipe for images.

        Args:
            architecture: As for `build_network`.
            images: To be trained on.
            plan: How.
            standardise: Whether the network standardises pixels by these images' mean and deviation.
            init_seed: Of the weights at the start.
            order_seed: Of the order of images and their augmentation.
        """
        mean, std = images.channel_statistics if standardise else ((), ())
        return cls(
            architecture=architecture,
            data=images.digest,
            shape=images.shape,
            classes=images.classes,
            plan=plan,
            mean=mean,
            std=std,
            init_seed=init_seed,
            order_seed=order_seed,
        )

    def to_json(self) -> dict[str, Any]:
        """All of it, JSON values: what finished work is kept under."""
        return asdict(self)

    def network(self) -> nn.Module:
        """The network as it is before the first step."""
        module, _ = drawn(
            self.init_seed,
            lambda: build_network(self.architecture, self.shape, self.classes, mean=self.mean, std=self.std),
        )
        return module

    def classifier(self, module: nn.Module, labels: Sequence[str] | None = None) -> TorchClassifier:
        """A network of this recipe as a classifier; it is put in evaluation mode and frozen, its classes get names.

        Raises:
            AnalysisError: Its images have neither one channel nor three.
        """
        channels, height, width = self.shape
        if channels not in _CHANNELS:
            raise AnalysisError(f"images of {channels} channels are neither grey nor RGB")
        spec = ImageSpec(height=height, width=width, channel_order=_CHANNELS[channels])
        return TorchClassifier(module, spec, labels=labels, name=self.architecture)
