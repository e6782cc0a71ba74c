"""How far attacked images part from themselves, layer by layer, beside noise of the same size and halves of a layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.attacks.running import PreparedAttack
from detector.attacks.threat_models import fgsm, pgd
from detector.errors import AnalysisError
from detector.images import to_canonical, to_pixels
from detector.research.representation.capture import capture

if TYPE_CHECKING:
    from detector.attacks.threat_models import ThreatModel
    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.progress import Advance
    from detector.research.representation.layered import Layered
    from detector.research.representation.path import RepresentationPath
    from detector.research.representation.probe import Probe
    from detector.research.representation.spaces.base import Array
    from detector.shards.stages import Arrays

NOISE: Final = "noise of the same size"
_LEVELS = 255


@dataclass(frozen=True)
class Attacks:
    """What images are moved by.

    Args:
        levels: Most by which a pixel is changed, in 255ths, above 0.
        seed: Of what is drawn.

    Raises:
        AnalysisError: The levels are out of range.
    """

    levels: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.levels <= _LEVELS:
            raise AnalysisError(f"levels must lie in 0..{_LEVELS} (above 0), not {self.levels:g}")

    @property
    def models(self) -> tuple[ThreatModel, ...]:
        """Untargeted, by gradients: one step, and many."""
        return fgsm(self.levels), pgd(self.levels)

    def kinds(self, *, gradients: bool) -> tuple[str, ...]:
        """What `parting` measures, in its order."""
        return (*((model.name for model in self.models) if gradients else ()), NOISE)

    def noisy(self, images: Float32Array) -> Float32Array:
        """Images with every value moved up or down by the budget, at random, within [0, 1], rounded to levels."""
        signs = np.random.default_rng(self.seed).choice(np.array([-1, 1], np.float32), images.shape)
        moved: Float32Array = np.clip(images + signs * np.float32(self.levels / _LEVELS), 0, 1).astype(np.float32)
        return to_canonical(to_pixels(moved), images.shape[1:])

    def to_json(self) -> dict[str, Any]:
        """All that is done, JSON values."""
        return {"attacks": [asdict(model) for model in self.models], "levels": self.levels, "seed": self.seed}


@dataclass(frozen=True, eq=False)
class AttackedProbe:
    """What is looked at, and what moves it.

    Args:
        probe: What paths are measured on.
        attacks: What its images are moved by.
    """

    probe: Probe
    attacks: Attacks


def parting(
    network: Layered,
    path: RepresentationPath,
    gradients: TorchClassifier | None,
    shared: AttackedProbe,
    advance: Advance,
) -> Arrays:
    """How far the same images, moved, are from themselves at each layer.

    Args:
        network: Whose layers.
        path: Of the images as they are.
        gradients: What attacks are made with; None for noise alone.
        shared: The images, and what they are moved by.
        advance: Told of a step for each kind.

    Returns:
        float64 ``parted`` (kinds, L), the distance of each layer's point to that of the images as they are; ``ends``
        (kinds,), from the last point to the target; ``right`` (kinds,), the share of images still classified
        correctly, 0..1; ``halves`` (L,), between two halves of a layer's units, NaN where there are none.

    Raises:
        MissingExtraError: The attack library is not installed.
        GradientsUnavailableError, ClassifierError, AnalysisError: As attacks and paths say.
    """
    probe, attacks = shared.probe, shared.attacks
    images, labels = probe.images.canonical, probe.images.labels
    parted, ends, right = [], [], []
    for kind in attacks.kinds(gradients=gradients is not None):
        if kind == NOISE or gradients is None:
            moved = attacks.noisy(images)
        else:
            model = next(one for one in attacks.models if one.name == kind)
            moved = _attacked(PreparedAttack(model, attacks.seed), gradients, images, labels)
        other = probe.path(network, moved)
        parted.append([probe.space.distance(a, b) for a, b in zip(path.points, other.points, strict=True)])
        ends.append(probe.space.distance(other.points[-1], probe.target))
        right.append(probe.accuracy(network, moved))
        advance(1)
    return {
        "parted": np.array(parted),
        "ends": np.array(ends),
        "right": np.array(right),
        "halves": _halves(network, probe, attacks.seed),
    }


def _attacked(attack: PreparedAttack, gradients: TorchClassifier, images: Float32Array, labels: Any) -> Float32Array:
    starts = range(0, len(images), attack.batch)
    parts = [slice(begin, begin + attack.batch) for begin in starts]
    return np.concatenate([attack.move(gradients, images[part], labels[part], begin=part.start) for part in parts])


def _halves(network: Layered, probe: Probe, seed: int) -> Array:
    """How far one half of a layer's units, drawn at random, is from the other."""
    draw = np.random.default_rng(seed)
    found = []
    for _, activations in capture(network, probe.images.canonical, maps=probe.maps):
        order = draw.permutation(activations.shape[1])
        middle = len(order) // 2
        try:
            ends = [probe.space.point(activations[:, half]) for half in (order[:middle], order[middle:])]
        except AnalysisError:  # one unit alone, or a half that is silent
            found.append(np.nan)
            continue
        found.append(probe.space.distance(*ends))
    return np.array(found)
