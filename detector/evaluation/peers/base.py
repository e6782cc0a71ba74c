"""What a peer is: a published detector with scikit-learn's manners, fitted on the images the guard is calibrated on."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from detector.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from detector.classifiers.base import Classifier, Float32Array
    from detector.classifiers.torch import TorchClassifier

_CHUNK_IMAGES = 256
_CHUNK_VALUES = 1 << 22  # pixels held at once, all copies of an image counted


@dataclass(frozen=True)
class PeerData:
    """What a peer may learn from; the same for all.

    Args:
        classifier: The deployed classifier: forwards only.
        gradients: The same with gradients, where there is one, for libraries that want a torch module.
        hidden: Canonical images to the channel means of hidden layers, each float32 (N, channels), the last one nearest
            the logits; one forward an image.
        images: Benign images to fit on, canonical, float32 (N, channels, height, width).
        labels: Their true classes, int64 (N,).
        attacked: Attacked images to learn from, by attack, canonical; may be empty. They need not come from `images`.
        seed: Of every random choice.
    """

    classifier: Classifier
    gradients: TorchClassifier | None
    hidden: Callable[[Float32Array], tuple[Float32Array, ...]]
    images: Float32Array
    labels: NDArray[np.int64]
    attacked: Mapping[str, Float32Array]
    seed: int


class Peer(Protocol):
    """A detector: made with its options, fitted once, then scoring; fitted attributes end in an underscore."""

    @property
    def name(self) -> str:
        """Short and unique, such as ``feature-squeezing``."""
        ...

    @property
    def source(self) -> str:
        """The paper: authors, year, arXiv id or venue."""
        ...

    @property
    def needs_attacks(self) -> bool:
        """Whether it learns from attacked images; where not, it never looks at them."""
        ...

    @property
    def forwards_per_image(self) -> float:
        """Classifier forwards that scoring one image takes; `PeerData.hidden` counts as one."""
        ...

    def fit(self, data: PeerData) -> None:
        """Learn what there is to learn.

        Raises:
            CalibrationError: `data` has too few images, or no attacked ones though they are needed; names the peer.
            MissingExtraError: A library is not installed.
        """
        ...

    def score(self, images: Float32Array) -> NDArray[np.float32]:
        """Score canonical images one by one; the same image gets the same score in any company.

        Args:
            images: float32 (N, channels, height, width), values in [0, 1], N >= 1.

        Returns:
            float32 (N,), finite; higher means more adversarial.
        """
        ...


def in_chunks(
    score: Callable[[Float32Array], NDArray[Any]], images: Float32Array, *, copies: int = 1
) -> NDArray[np.float32]:
    """Score images a chunk at a time, so that memory does not grow with their number.

    Args:
        score: Images (n, channels, height, width) to numbers whose first axis is n.
        images: float32 (N, channels, height, width), N >= 1.
        copies: How many images of the same size `score` holds per image.

    Returns:
        float32, first axis N.
    """
    size = max(1, min(_CHUNK_IMAGES, _CHUNK_VALUES // (copies * images[0].size)))
    return np.concatenate([np.asarray(score(images[i : i + size]), np.float32) for i in range(0, len(images), size)])


def halves(count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two random, disjoint, sorted halves of 0..count-1; the first is the larger where count is odd."""
    order = np.random.default_rng(seed).permutation(count)
    middle = (count + 1) // 2
    return np.sort(order[:middle]), np.sort(order[middle:])


def attacked_images(data: PeerData, peer: str) -> Float32Array:
    """All attacked images there are to learn from, float32 (N, channels, height, width).

    Raises:
        CalibrationError: There are none; names the peer.
    """
    groups = [images for images in data.attacked.values() if len(images)]
    if not groups:
        raise CalibrationError(f"{peer}: learns from attacked images, and PeerData.attacked holds none")
    return np.concatenate(groups)


def originals(images: Float32Array, attacked: Float32Array) -> NDArray[np.int64]:
    """Rows of `images` that attacked images were made from, as far as their pixels tell.

    An attacked image was made from the image nearest to it (L2), if it is less than half as far from that as any other
    of `images` is. A perturbation larger than that goes unnoticed, unless the same image was also attacked with less.

    Args:
        images: (N, channels, height, width), N >= 2.
        attacked: (M, channels, height, width), M >= 1.

    Returns:
        Sorted, each once.
    """
    index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(images.reshape(len(images), -1))
    apart = index.kneighbors()[0][:, 0]
    distances, rows = index.kneighbors(attacked.reshape(len(attacked), -1))
    return np.unique(rows[distances < apart[rows] / 2])


@contextmanager
def torch_seed(seed: int) -> Iterator[None]:
    """Torch's global generator seeded within the block, and put back afterwards; libraries draw from no other."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
