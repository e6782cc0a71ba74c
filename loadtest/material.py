"""The images of a load test and the answers they must get: read and computed before the load begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector import Detector
from detector.data.opening import open_images
from detector.data.source import read_all
from detector.errors import SettingsError
from detector.verdicts import Verdict
from loadtest.answers import Answer, answers_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector.classifiers.base import UInt8Array

_SHARE: Final = 0.1
_CHUNK: Final = 8
"""Images scored between two breaths: whoever computes in an event loop must say soon that it is alive."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Images of one kind.

    Args:
        kind: Such as "clean".
        pixels: uint8 (N, height, width, channels).
        answers: N answers they must get.
    """

    kind: str
    pixels: UInt8Array
    answers: tuple[Answer, ...]

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def flagged(self) -> float:
        """Share of the images that are not BENIGN, 0..1."""
        return sum(answer.verdict is not Verdict.BENIGN for answer in self.answers) / len(self)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Images of one request.

    Args:
        pixels: uint8 (N, height, width, channels).
        answers: N answers they must get.
    """

    pixels: UInt8Array
    answers: list[Answer]


@dataclass(frozen=True, eq=False)
class Mix:
    """Clean and attacked images, and how they are mixed.

    Args:
        pools: One or two.
        shares: Of each, summing to 1.
    """

    pools: tuple[Pool, ...]
    shares: tuple[float, ...]

    def draw(self, count: int, random: np.random.Generator) -> Drawn:
        """So many images: each of a pool chosen by its share, any image of it."""
        which = random.choice(len(self.pools), count, p=self.shares)
        chosen = [(self.pools[pool], int(random.integers(len(self.pools[pool])))) for pool in which]
        return Drawn(
            np.stack([pool.pixels[index] for pool, index in chosen]), [pool.answers[index] for pool, index in chosen]
        )

    def __str__(self) -> str:
        return "; ".join(
            f"{share:.0%} {pool.kind}: {len(pool)} images, {pool.flagged:.1%} of them flagged offline"
            for pool, share in zip(self.pools, self.shares, strict=True)
        )


def read_mix(
    bundle: Path,
    clean: str,
    attacked: str | None,
    *,
    share: float | None,
    limit: int,
    breathe: Callable[[], object] = lambda: None,
) -> Mix:
    """Read the images and have the bundle score them in this process.

    Args:
        bundle: What the server serves.
        clean: Any image source of `detector.data.opening.open_images`.
        attacked: Likewise, or None.
        share: Of attacked images, 0..1; None means a tenth where there are any.
        limit: Images of each kind, at most.
        breathe: Called every few images.

    Raises:
        IsthmusError: The bundle or the images can't be used.
        SettingsError: A share of attacked images, and none given.
    """
    if share is None:
        share = 0.0 if attacked is None else _SHARE
    if share and attacked is None:
        raise SettingsError(f"attacked images shall be {share:.0%} of the traffic, and none are given (--attacked)")
    detector = Detector.load(bundle, threads=1)
    breathe()
    pools = [_pool("clean", clean, detector, limit, breathe)]
    if attacked is not None and share:
        pools.append(_pool("attacked", attacked, detector, limit, breathe))
    return Mix(tuple(pools), (1 - share, share) if share else (1.0,))


def _pool(kind: str, source: str, detector: Detector, limit: int, breathe: Callable[[], object]) -> Pool:
    pixels = read_all(open_images(source), detector.bundle.manifest.spec.shape, limit=limit).pixels
    answers: list[Answer] = []
    for first in range(0, len(pixels), _CHUNK):
        answers += answers_of(detector.score(pixels[first : first + _CHUNK]))
        breathe()
    return Pool(kind, pixels, tuple(answers))
