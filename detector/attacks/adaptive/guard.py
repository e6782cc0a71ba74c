"""The whole guard as its attacker holds it: differentiable, with the real scorer beside the one that has gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from detector.attacks.adaptive.ball import Ball, plain_pgd
from detector.attacks.adaptive.margins import margins
from detector.attacks.adaptive.stand_in import ScoredFeatures, StandIn, improved, stand_in
from detector.attacks.adaptive.walking import Walk, Walker
from detector.errors import InvalidInputError
from detector.scoring.features import profile_features
from detector.scoring.runner import OnnxScorer

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.classifiers.base import Float32Array
    from detector.detector import Detection, Detector

_POINTS_AT_ONCE = 768  # of which all activations are held for the backward pass
_FEWEST = 20
_LEAST_SPREAD = 1e-3
_LEAST_SHARE = 0.05  # of the median spread: a feature that hardly varies is not to outweigh all others


@dataclass(frozen=True, eq=False)
class BenignProfiles:
    """What the guard sees on benign images, from the attacker's own.

    Args:
        means: float32 (classes, features): mean by predicted class, that of all where a class has no image.
        scale: float32 (features,): standard deviation over all, where it is not too small for a unit.
        margin: The median of the predicted class's margin; a unit for margins.
    """

    means: Tensor
    scale: Tensor
    margin: float


@dataclass(frozen=True, eq=False)
class DifferentiableGuard:
    """A guard that can be differentiated from the pixels to the score.

    Args:
        detector: The real one.
        walker: Its walk with gradients.
        scorer: Its scorer, without gradients.
        stand_in: What has gradients in the scorer's place.
        benign: Its profiles of the attacker's benign images.
        known: What the stand-in was made from.
        seed: Of the stand-in.
    """

    detector: Detector
    walker: Walker
    scorer: OnnxScorer
    stand_in: StandIn
    benign: BenignProfiles
    known: ScoredFeatures
    seed: int

    @property
    def fidelity(self) -> float:
        """Rank correlation of the stand-in's scores with the real ones, on the attacker's held-out data; -1..1."""
        return self.stand_in.fidelity

    @property
    def images_at_once(self) -> int:
        """As many as are walked in one batch, for the sake of memory."""
        return max(1, _POINTS_AT_ONCE // self.walker.plan.forwards_per_image)

    def features(self, images: Tensor) -> Tensor:
        """float32 (N, features) of canonical images, as the scorer reads them."""
        return self.walker.walk(images).features

    def score(self, images: Tensor) -> Tensor:
        """float32 (N,): the stand-in's score of canonical images, with gradients; rises with the real one."""
        return self.stand_in.score(self.features(images))

    def real_scores(self, walk: Walk) -> tuple[Float32Array, NDArray[np.float64]]:
        """The real scorer's scores of a walk and their p-values, float32 (N,) and float64 (N,)."""
        scores = self.scorer.score(walk.features.detach().numpy())
        calibration = self.detector.bundle.parts.calibration
        difficulty = calibration.strata.difficulty(walk.image_logits.detach().numpy())
        return scores, calibration.p_values(scores, walk.predicted.numpy(), difficulty)

    def refreshed(self, seen: ScoredFeatures) -> DifferentiableGuard:
        """The guard with a better stand-in, which may learn from what an attack has seen; see `improved`."""
        known = ScoredFeatures.of([self.known, seen])
        scorer = self.detector.bundle.parts.scorer
        return replace(self, known=known, stand_in=improved(self.stand_in, scorer, known, seed=self.seed))


def differentiable_guard(
    detector: Detector,
    images: Float32Array,
    *,
    budgets: tuple[float, ...] = (2 / 255, 4 / 255, 8 / 255, 16 / 255),
    steps: int = 10,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> DifferentiableGuard:
    """Take a guard apart as an attacker would who has its bundle and some images.

    The stand-in learns from the images, from the same attacked by PGD at several budgets, and from blends of the two
    with noise.

    Args:
        detector: The guard, running its bundle's own classifier.
        images: float32 (N, channels, height, width), canonical, N >= 20: benign ones of the attacker's own, not those
            he goes on to attack.
        budgets: Of PGD, Linf, in (0, 1].
        steps: Of PGD.
        seed: Of all that is random.
        on_progress: Told how many of the budgets are done since it was told last.

    Raises:
        GradientsUnavailableError: The bundle's classifier can't be differentiated; says why.
        InvalidInputError: Too few images.
    """
    if len(images) < _FEWEST:
        raise InvalidInputError(f"at least {_FEWEST} benign images are needed, not {len(images)}", field="images")
    walker = Walker(detector.bundle)
    found = detector.score_canonical(images)
    known = [_scored(detector, found)]
    benign = _benign_profiles(known[0].features, found.logits)
    random = torch.Generator().manual_seed(seed)
    originals, labels = torch.from_numpy(images), torch.from_numpy(found.predicted)
    for budget in budgets:
        ball = Ball.around(originals, budget)
        moved = plain_pgd(walker, ball, labels, steps=steps, generator=random)
        blends = originals + torch.rand(len(images), 1, 1, 1, generator=random) * (moved - originals)
        noise = (2 * torch.rand(images.shape, generator=random) - 1) * budget
        noise *= torch.rand(len(images), 1, 1, 1, generator=random)
        batches = (moved, ball.whole_levels(blends + noise))
        known += [_scored(detector, detector.score_canonical(batch.numpy())) for batch in batches]
        if on_progress:
            on_progress(1)
    scorer = detector.bundle.parts.scorer
    learnt = ScoredFeatures.of(known)
    return DifferentiableGuard(
        detector, walker, OnnxScorer(scorer), stand_in(scorer, learnt, seed=seed), benign, learnt, seed
    )


def _scored(detector: Detector, detection: Detection) -> ScoredFeatures:
    features = profile_features(detection.profile, detector.bundle.parts.statistics)
    return ScoredFeatures(features, detection.scores)


def _benign_profiles(features: Float32Array, logits: Float32Array) -> BenignProfiles:
    predicted = logits.argmax(axis=1)
    means = np.tile(features.mean(axis=0), (logits.shape[1], 1))
    for label in np.unique(predicted):
        means[label] = features[predicted == label].mean(axis=0)
    spread = features.std(axis=0)
    own = margins(torch.from_numpy(logits), torch.from_numpy(predicted))
    return BenignProfiles(
        means=torch.from_numpy(means),
        scale=torch.from_numpy(spread.clip(max(_LEAST_SHARE * float(np.median(spread)), _LEAST_SPREAD))),
        margin=max(float(own.median()), _LEAST_SPREAD),
    )
