"""By how much a class wins, or loses, against the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def margins(logits: Tensor, classes: Tensor) -> Tensor:
    """float32 (N,): a class's logit (of N, classes) minus the largest other; negative where another class wins."""
    own = logits.gather(1, classes[:, None])[:, 0]
    return own - logits.scatter(1, classes[:, None], -torch.inf).amax(1)


def soft_margins(logits: Tensor, classes: Tensor) -> Tensor:
    """As `margins`, with the gradient of the class's log-odds: a maximum sees one rival and runs after each in turn."""
    hard = margins(logits, classes)
    rivals = logits.scatter(1, classes[:, None], -torch.inf).logsumexp(1)
    odds = logits.gather(1, classes[:, None])[:, 0] - rivals
    return odds + (hard - odds).detach()
