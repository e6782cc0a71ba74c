"""Several networks as one classifier, which averages their logits.

Logits, not probabilities: the loss of a mean of probabilities is at most the lowest loss among the networks plus the
logarithm of their number, so one that is fooled with confidence speaks for all; and margins, which a scorer reads since
they don't saturate, are lost in it. In a mean of logits every network counts by its own margin. After a softmax it is
the geometric mean of the probabilities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torch import nn

from detector.classifiers.base import OutputKind
from detector.classifiers.torch import TorchClassifier, class_tensor, logit_rows
from detector.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

MAX_NETWORKS: Final = 64


class Ensemble(nn.Module):
    """The mean of several networks' logits.

    Args:
        networks: Each takes a batch of images and gives (N, classes), alone, first in a tuple, or as ``logits``.
        kind: What each puts out; of probabilities the logarithms are averaged.
    """

    def __init__(self, networks: Sequence[nn.Module], kind: OutputKind = OutputKind.LOGITS) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self._kind = kind

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (N, classes)."""
        rows = [logit_rows(class_tensor(network(images)).flatten(1), self._kind) for network in self.networks]
        # Not stacked: a graph of a fixed batch is opened for any number of images where these stay the first axis.
        return sum(rows[1:], start=rows[0]) / len(rows)


def ensemble_of(classifiers: Sequence[TorchClassifier], *, name: str = "ensemble") -> TorchClassifier:
    """Several classifiers as one, at as many times the cost.

    Args:
        classifiers: Of the same images and classes; their modules are shared, not copied.
        name: What to call it in descriptions and errors.

    Raises:
        ClassifierError: There is none, there are more than `MAX_NETWORKS`, or they differ in what they take or put out.
    """
    if not 1 <= len(classifiers) <= MAX_NETWORKS:
        raise ClassifierError(f"an ensemble is of 1 to {MAX_NETWORKS} networks, not {len(classifiers)}")
    first = classifiers[0]
    for number, other in enumerate(classifiers[1:], 2):
        for what, one, found in (
            ("takes images", first.spec, other.spec),
            ("puts out", first.output_kind, other.output_kind),
            ("has classes", first.labels, other.labels),
            ("has a batch of", first.fixed_batch, other.fixed_batch),
        ):
            if one != found:
                raise ClassifierError(f"ensemble: network {number} {what} {found}, the first one {one}")
    module = Ensemble([classifier.module for classifier in classifiers], first.output_kind)
    return TorchClassifier(
        module,
        first.spec,
        labels=first.labels,
        output_kind=OutputKind.LOGITS,
        fixed_batch=first.fixed_batch,
        name=name,
    )
