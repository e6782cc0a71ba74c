"""One run watched from its first checkpoint to its last: all scores of one run, and nothing kept of what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from detector.research.difficulty.activations import (
    Activations,
    class_distances,
    cluster_distances,
    prediction_depth,
    probes,
)
from detector.research.difficulty.gradients import BATCH, example_gradients
from detector.research.difficulty.kinds import (
    ACTIVATIONS,
    AVERAGE,
    GRADIENTS,
    KINDS,
    LAST,
    POINTWISE,
    PRUNING,
    VARIANCE,
    Needs,
)
from detector.research.difficulty.pointwise import pointwise
from detector.research.difficulty.streams import Forgetting, Losing, Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from detector.research.difficulty.gradients import ExampleGradients
    from detector.shards.stages import Arrays
    from detector.training.data import LabelledImages

_SHARE_MAPS: Final = {"vog": "label", "classvog": "predicted", "lossvog": "loss"}
_VARIANCES: Final = {Needs.VARIANCE, Needs.VARIANCE_OF_GRADIENTS}


@dataclass(frozen=True, kw_only=True, eq=False)
class Watch:
    """What is looked at in every run.

    Args:
        images: What runs are trained on.
        held_out: What is scored; None scores the training images.
        checkpoints: How many there are, the last at the end.
        gradients: At which of them gradients are taken, rising, from 0; none where there are no such numbers.
        probes: Training images among which neighbours are looked for; 0 leaves scores of hidden layers out.
        levels: How often the network is pruned after that, a fifth of its weights each time, and trained again; 0
            leaves scores of pruning out.
        seed: Of the choice of probes.
    """

    images: LabelledImages
    held_out: LabelledImages | None
    checkpoints: int
    gradients: tuple[int, ...] = ()
    probes: int = 0
    levels: int = 0
    seed: int = 0

    @property
    def scored(self) -> LabelledImages:
        """What is scored."""
        return self.images if self.held_out is None else self.held_out

    @property
    def names(self) -> tuple[str, ...]:
        """Of the scores that a run gives, in order."""
        gives = {
            Needs.LOGITS: True,
            Needs.VARIANCE: self.checkpoints > 1,
            Needs.GRADIENTS: bool(self.gradients),
            Needs.VARIANCE_OF_GRADIENTS: len(self.gradients) > 1,
            Needs.ACTIVATIONS: bool(self.probes),
            Needs.LEVELS: bool(self.levels),
        }
        return tuple(name for name, kind in KINDS.items() if gives.get(kind.needs, False))

    @property
    def missing(self) -> tuple[str, ...]:
        """Why runs have no more scores than these, a sentence each."""
        sentences = []
        if self.checkpoints < 2:  # noqa: PLR2004 - one has no variance
            sentences.append(f"{VARIANCE}... over training need two checkpoints, and there is one")
        if not self.gradients:
            sentences.append(f"{', '.join(kind.name for kind in GRADIENTS)}: no gradients were asked for")
        elif len(self.gradients) < 2:  # noqa: PLR2004
            sentences.append(f"{', '.join(_SHARE_MAPS)} need gradients at two checkpoints, and there is one")
        if not self.probes:
            sentences.append(f"{', '.join(kind.name for kind in ACTIVATIONS)}: no hidden layers were asked for")
        if not self.levels:
            sentences.append(f"{', '.join(kind.name for kind in PRUNING)}: no pruning was asked for")
        return tuple(sentences)

    def to_json(self) -> dict[str, Any]:
        """What scores depend on besides the recipe, JSON values."""
        return {
            "scored": self.scored.digest,
            "checkpoints": self.checkpoints,
            "gradients": list(self.gradients),
            "probes": self.probes,
            "levels": self.levels,
            "seed": self.seed,
        }


class Observer:
    """Sees the checkpoints of one run, one after the other.

    Args:
        watch: What is looked at.
    """

    def __init__(self, watch: Watch) -> None:
        count = len(watch.scored)
        self._watch = watch
        self._seen = 0
        self._moments = Moments((len(POINTWISE), count))
        self._forgetting = Forgetting(count)
        self._losing = Losing(count)
        self._last = np.zeros((len(POINTWISE), count))
        self._predicted = np.zeros(count, np.int64)
        self._norms = Moments((2, count))
        height, width = watch.scored.shape[1:]
        maps = (count, height, width) if len(watch.gradients) > 1 else (0,)
        self._maps = {name: Moments(maps, np.float32) for name in _SHARE_MAPS}
        self._hidden: dict[str, NDArray[np.float64]] = {}

    def look(self, module: nn.Module) -> None:
        """See the next checkpoint.

        Args:
            module: In evaluation mode.

        Raises:
            AnalysisError: It puts out what is no finite number, or is no network that is scored.
        """
        scored = self._watch.scored
        logits = outputs(module, scored)
        self._last = pointwise(logits, scored.labels)
        self._predicted = logits.argmax(1).astype(np.int64)
        self._moments.add(self._last)
        self._forgetting.add(self._predicted == scored.labels)
        if self._seen in self._watch.gradients:
            self._see_gradients(module)
        self._seen += 1
        if self._seen == self._watch.checkpoints and self._watch.probes:
            self._hidden = self._hidden_layers(module)

    def look_pruned(self, module: nn.Module) -> None:
        """See the next level of a pruning, the dense network first.

        Args:
            module: In evaluation mode, trained to the end.
        """
        scored = self._watch.scored
        self._losing.add(outputs(module, scored).argmax(1) == scored.labels)

    def found(self) -> Arrays:
        """What all checkpoints together say.

        Returns:
            ``scores`` float64 (scores, examples), the higher, the harder, as `Watch.names` calls them; ``predicted``
            int64 (examples,), at the end; ``learnt`` bool (examples,), whether a checkpoint was right.
        """
        raw: dict[str, NDArray[np.float64]] = {**self._forgetting.scores(), **self._hidden}
        for prefix, values in ((AVERAGE, self._moments.mean), (LAST, self._last)):
            raw |= {prefix + kind.name: row for kind, row in zip(POINTWISE, values, strict=True)}
        if self._watch.levels:
            raw |= self._losing.scores()
        if self._seen > 1:
            raw |= {VARIANCE + kind.name: row for kind, row in zip(POINTWISE, self._moments.variance, strict=True)}
        if self._watch.gradients:
            raw |= dict(zip(("grand", "grand-last-layer"), self._norms.mean, strict=True))
        if len(self._watch.gradients) > 1:
            raw |= {name: moments.variance.mean((1, 2)) for name, moments in self._maps.items()}
        return {
            "scores": np.stack([KINDS[name].oriented(raw[name]) for name in self._watch.names]),
            "predicted": self._predicted,
            "learnt": self._forgetting.ever,
        }

    def _see_gradients(self, module: nn.Module) -> None:
        """VoG as it is published takes the square root of each pixel's variance before the mean over pixels.

        The code that goes with arXiv 2401.01867 averages the variances themselves, and so does this, to be compared
        with its figures: pixels that vary much weigh more than under a root.
        """
        scored = self._watch.scored
        device = next(module.parameters()).device
        parts = []
        labels = torch.from_numpy(scored.labels)
        for batch, told in zip(scored.batches(BATCH), torch.split(labels, BATCH), strict=True):
            parts.append(example_gradients(module, batch.to(device), told.to(device)))
        self._norms.add(np.stack([_joined(parts, "norms"), _joined(parts, "last")]))
        if len(self._watch.gradients) > 1:
            for name, field in _SHARE_MAPS.items():
                self._maps[name].add(_joined(parts, field))

    def _hidden_layers(self, module: nn.Module) -> dict[str, NDArray[np.float64]]:
        images, scored = self._watch.images, self._watch.scored
        rows = probes(images, self._watch.probes, self._watch.seed)
        mine = Activations(module, scored)
        known = mine if self._watch.held_out is None else Activations(module, images)
        itself = np.full(len(scored), -1)
        if self._watch.held_out is None:
            itself[rows] = np.arange(len(rows))
        layers = [layer[rows] for layer in known.layers]
        return {
            "pd": prediction_depth(mine.layers, scored.labels, layers, images.labels[rows], itself),
            "proto": class_distances(mine.last, scored.labels, known.last, images.labels),
            "selfproto": cluster_distances(mine.last, known.last[rows], self._watch.seed),
        }


def outputs(module: nn.Module, images: LabelledImages) -> NDArray[np.float32]:
    """The logits of all images, float32 (N, classes)."""
    device = next(module.parameters()).device
    with torch.no_grad():
        found: NDArray[np.float32] = torch.cat(
            [module(part.to(device)).cpu() for part in images.batches(BATCH)]
        ).numpy()
    return found


def _joined(parts: list[ExampleGradients], name: str) -> NDArray[np.float32]:
    joined: NDArray[np.float32] = torch.cat([getattr(part, name) for part in parts]).cpu().numpy()
    return joined
