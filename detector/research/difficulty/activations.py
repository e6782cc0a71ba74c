"""Scores of hidden layers at the end of training: where an example is known, and how typical it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors
from torch import nn
from torch.nn import functional

from detector.data.source import choose
from detector.errors import AnalysisError
from detector.research.difficulty.gradients import BATCH, output_layer
from detector.training.layers import ResidualBlock, ResidualLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from detector.training.data import LabelledImages

NEIGHBOURS: Final = 30
CLUSTERS: Final = 30
_MOST_FEATURES: Final = 1024  # of a layer; larger maps are averaged over patches first
_MAP_AXES: Final = 4


class Activations:
    """What hidden layers of a network say of images.

    Args:
        module: In evaluation mode.
        images: Which.

    Attributes:
        layers: float32 (N, features) each, from the first layer to the last: every ReLU's output and every residual
            block's, and the probabilities at the end. Maps of more than 1,024 numbers are averaged over patches.
        last: float32 (N, features), what the layer reads that puts out the logits.

    Raises:
        AnalysisError: The network has no linear layer.
    """

    def __init__(self, module: nn.Module, images: LabelledImages) -> None:
        hidden = [layer for layer in module.children() if isinstance(layer, nn.ReLU | ResidualBlock | ResidualLayer)]
        seen: dict[nn.Module, list[Tensor]] = {layer: [] for layer in hidden}
        last: list[Tensor] = []
        handles = [
            *(layer.register_forward_hook(lambda of, _, out: seen[of].append(_features(out))) for layer in hidden),
            output_layer(module).register_forward_pre_hook(lambda _, given: last.append(given[0])),
        ]
        device = next(module.parameters()).device
        try:
            with torch.no_grad():
                ends = [module(batch.to(device)).softmax(1) for batch in images.batches(BATCH)]
        finally:
            for handle in handles:
                handle.remove()
        self.layers = [torch.cat(parts).cpu().numpy() for parts in (*seen.values(), ends)]
        self.last: NDArray[np.float32] = torch.cat(last).cpu().numpy()


def prediction_depth(
    queries: Sequence[NDArray[np.float32]],
    labels: NDArray[np.int64],
    known: Sequence[NDArray[np.float32]],
    known_labels: NDArray[np.int64],
    itself: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """The layers before the first from which on each layer's nearest neighbours agree on the label.

    Baldock et al., "Deep learning through the lens of example difficulty", Sec. 2: k-NN probes, k = 30, Euclidean.

    Args:
        queries: What layers say of the examples, (N, features) each.
        labels: Of the examples, int64 (N,).
        known: What the same layers say of images whose labels are known, (M, features) each, M >= 2.
        known_labels: int64 (M,).
        itself: int64 (N,), which of the known images an example is, -1 for none: nobody is a neighbour of its own.

    Returns:
        float64 (N,), 0..layers; as many as there are layers where even the last one's neighbours disagree.

    Raises:
        AnalysisError: Fewer than two images are known.
    """
    if len(known_labels) < 2:  # noqa: PLR2004 - one is no neighbour of its own
        raise AnalysisError(f"difficulty: {len(known_labels)} known images give no neighbours; two or more are needed")
    depth = np.zeros(len(labels))
    for number, (asked, there) in enumerate(zip(queries, known, strict=True), 1):
        depth[_vote(asked, there, known_labels, itself) != labels] = number
    return depth


def _vote(
    asked: NDArray[np.float32],
    there: NDArray[np.float32],
    labels: NDArray[np.int64],
    itself: NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    """The label that most neighbours have, the smallest of those that as many have."""
    wanted = min(NEIGHBOURS, len(labels) - 1)
    near = NearestNeighbors(n_neighbors=wanted + 1, algorithm="brute").fit(there)
    rows = near.kneighbors(asked, return_distance=False)
    own = np.full(len(asked), -1) if itself is None else itself
    # Whoever is not among its own neighbours loses the farthest one instead, so that all ask as many.
    drop = np.where((rows == own[:, None]).any(1), (rows == own[:, None]).argmax(1), wanted)
    kept = rows[np.arange(wanted + 1) != drop[:, None]].reshape(len(asked), wanted)
    votes = np.zeros((len(asked), int(labels.max()) + 1), np.int64)
    np.add.at(votes, (np.arange(len(asked))[:, None], labels[kept]), 1)
    return votes.argmax(1)


def class_distances(
    queries: NDArray[np.float32],
    labels: NDArray[np.int64],
    known: NDArray[np.float32],
    known_labels: NDArray[np.int64],
) -> NDArray[np.float64]:
    """How far each example is from the mean of its own class, float64 (N,).

    Args:
        queries: (N, features).
        labels: int64 (N,).
        known: (M, features).
        known_labels: int64 (M,).

    Raises:
        AnalysisError: No image of one of the classes is known.
    """
    found = np.empty(len(labels))
    for label in np.unique(labels):
        mine = known[known_labels == label]
        if not len(mine):
            raise AnalysisError(f"difficulty: no training image of class {label}, so it has no mean")
        here = labels == label
        found[here] = np.linalg.norm(queries[here] - mine.mean(0, dtype=np.float64), axis=1)
    return found


def cluster_distances(queries: NDArray[np.float32], known: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """How far each example is from the nearest of 30 clusters' means, fewer where there are fewer images, float64 (N,).

    Sorscher et al., Sec. 5: a metric that asks no label.

    Args:
        queries: (N, features).
        known: (M, features), what is clustered.
        seed: Of k-means.
    """
    distinct = len(np.unique(known, axis=0))
    clusters = KMeans(min(CLUSTERS, distinct), n_init=1, random_state=seed).fit(known)
    found: NDArray[np.float64] = clusters.transform(queries).min(1).astype(np.float64)
    return found


def probes(images: LabelledImages, most: int, seed: int) -> NDArray[np.int64]:
    """Which training images neighbours are looked for among: rows, rising, of all classes alike.

    Args:
        images: Training images.
        most: At most so many.
        seed: Of the choice.
    """
    return choose(images.labels, len(images), most, seed)


def _features(out: Tensor) -> Tensor:
    if out.ndim == _MAP_AXES and out[0].numel() > _MOST_FEATURES:
        side = max(1, int((_MOST_FEATURES / out.shape[1]) ** 0.5))
        out = functional.adaptive_avg_pool2d(out, side)
    return out.flatten(1)
