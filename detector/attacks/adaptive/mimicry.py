"""Attacks that know what benign looks like: a benign profile to match, prototypes to be connected to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from detector.attacks.adaptive.joint import penalised
from detector.profiles import PathKind

if TYPE_CHECKING:
    from torch import Tensor

    from detector.attacks.adaptive.ball import Ball
    from detector.attacks.adaptive.descent import Found, Standing, Steps
    from detector.attacks.adaptive.guard import DifferentiableGuard
    from detector.attacks.adaptive.walking import Walk


def mimicking_attack(guard: DifferentiableGuard, ball: Ball, labels: Tensor, steps: Steps, start: Tensor) -> Found:
    """Barrier-mimicking: `penalised` by the distance of the profile from the benign mean of the predicted class.

    Needs no scorer: the distance is over all features, in their benign standard deviations, root mean square.
    """

    def penalty(at: Standing) -> Tensor:
        away = (at.walk.features - guard.benign.means[at.walk.predicted]) / guard.benign.scale
        return away.square().mean(1).sqrt()

    return penalised(guard, ball, labels, steps, start=start, penalty=penalty)


def prototype_aware_attack(
    guard: DifferentiableGuard, ball: Ball, labels: Tensor, steps: Steps, start: Tensor
) -> Found:
    """`penalised` by the score, and by the barrier on the paths to the prototypes of the class to be reached."""

    def penalty(at: Standing) -> Tensor:
        return guard.stand_in.score(at.walk.features) + connection_loss(at.walk, at.labels)

    return penalised(guard, ball, labels, steps, start=start, penalty=penalty)


def connection_loss(walk: Walk, labels: Tensor) -> Tensor:
    """How badly each image is connected to the prototypes of the class it is on its way to.

    Args:
        walk: Of N images.
        labels: int64 (N,), classes to leave.

    Returns:
        float32 (N,): mean path loss, nats, along the paths to the prototypes: of the predicted class where it is wrong,
        of the runner-up class where it is right. 0 where the guard walks no such path.
    """
    right = walk.predicted == labels
    ahead = _path_losses(walk, PathKind.RUNNER_UP_PROTOTYPE, walk.runner_up)
    reached = _path_losses(walk, PathKind.PROTOTYPE, walk.predicted)
    return torch.where(right, ahead, reached)


def _path_losses(walk: Walk, kind: PathKind, classes: Tensor) -> Tensor:
    paths = [at for at, target in enumerate(walk.plan.targets) if target.kind is kind]
    if not paths:
        return walk.image_logits.new_zeros(len(classes))
    logits = walk.logits[:, paths].flatten(1, 2)
    own = logits.gather(-1, classes[:, None, None].expand(-1, logits.shape[1], 1))[..., 0]
    return (logits.logsumexp(-1) - own).mean(1)
