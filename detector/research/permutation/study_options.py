"""What studies share that train networks of their own and mix them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from detector.errors import AnalysisError
from detector.research.permutation.matching import MatchingOptions
from detector.research.permutation.networks import NetworkOptions

if TYPE_CHECKING:
    from detector.training.data import LabelledImages


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkStudyOptions:
    """What networks are made from, and how they are compared.

    Args:
        images: What networks are trained on and tested with.
        networks: How they are trained.
        test_share: Of the images, 0..1; no network is trained on them.
        points: Of the grid on a line between two networks, both ends included.
        measured: Images of training, and of others, that mixtures are measured on, at most.
        matching: How weights are matched.
        seed: Of the split and the networks.

    Raises:
        AnalysisError: A value is out of range.
    """

    images: LabelledImages
    networks: NetworkOptions = field(default_factory=NetworkOptions)
    test_share: float = 0.2
    points: int = 11
    measured: int = 10_000
    matching: MatchingOptions = field(default_factory=MatchingOptions)
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1 or self.points < 3:  # noqa: PLR2004 - something between the ends
            raise AnalysisError("study: test_share must lie between 0 and 1, points be at least 3")
        if self.measured < 1:
            raise AnalysisError(f"study: measured must be at least 1, not {self.measured}")

    def split(self) -> tuple[LabelledImages, LabelledImages]:
        """Training images and held-out ones.

        Raises:
            AnalysisError: There are too few.
        """
        return self.images.split(round(len(self.images) * (1 - self.test_share)), self.seed)

    def heads(self, train: LabelledImages, held_out: LabelledImages) -> tuple[LabelledImages, LabelledImages]:
        """Those training and held-out images that mixtures are measured on."""
        return train.head(self.measured), held_out.head(self.measured)

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready; images by their digest."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return plain | {
            "images": self.images.digest,
            "networks": self.networks.to_json(),
            "matching": asdict(self.matching),
        }
