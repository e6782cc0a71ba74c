"""Networks by name: ``mlp-256-256``, ``cnn-16-32``, ``flatcnn-16-32``, ``resnet20-16``, ``resmlp4-64``.

The word in front is the family, with its depth where it has one; the numbers are widths; a last word names the
normalisation, as in ``resnet20-16-layernorm``. A name says all there is to know, so a recipe holds it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torch import nn

from detector.errors import AnalysisError
from detector.training.layers import (
    Norm,
    ResidualBlock,
    ResidualLayer,
    Standardised,
    convolution,
    halving,
)
from detector.training.naming import NetworkName

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_WIDTH: Final = 65_536
MAX_DEPTH: Final = 1_000
_SEGMENTS: Final = 3
_SHALLOWEST: Final = 8


@dataclass(frozen=True)
class _Wanted:
    """What a name says, with the shape of images and the number of classes."""

    widths: tuple[int, ...]
    depth: int
    norm: Norm
    shape: tuple[int, int, int]
    classes: int

    @property
    def pixels(self) -> int:
        channels, height, width = self.shape
        return channels * height * width


def build_network(
    name: str, shape: tuple[int, int, int], classes: int, *, mean: Sequence[float] = (), std: Sequence[float] = ()
) -> nn.Sequential:
    """A network with PyTorch's own random start, which takes images in [0, 1].

    Args:
        name: ``mlp-W1-W2-...``: hidden layers of these widths. ``cnn-W1-W2-...``: 3 x 3 convolutions with pooling
            between them and the mean over positions at the end. ``flatcnn-...``: pooling after each, and a last layer
            that sees every position. ``resnetD-W``: the residual network of CIFAR-10 (He et al., arXiv 1512.03385, Sec.
            4.2) of D = 6n + 2 layers and widths W, 2W, 4W. ``resmlpD-W``: D residual blocks of width W. The
            normalisation is ``-plain`` (none), ``-batchnorm``, ``-layernorm`` or ``-groupnorm``; without a word,
            batchnorm for resnet, layernorm for resmlp and none for the others.
        shape: Of an image: (channels, height, width).
        classes: Numbers that it puts out.
        mean: Subtracted from each channel first; empty, like `std`, for nothing.
        std: Each channel is divided by it then.

    Raises:
        AnalysisError: There is no such network.
    """
    build, wanted = _parsed(name, shape, classes)
    first: list[nn.Module] = [Standardised(shape[0], mean, std)] if mean or std else []
    return nn.Sequential(*first, *build(wanted))


def check_network(name: str) -> None:
    """Whether there is a network of this name.

    Raises:
        AnalysisError: There is none; the message says what there is.
    """
    _parsed(name, (1, 1, 1), 1)


def _parsed(
    name: str, shape: tuple[int, int, int], classes: int
) -> tuple[Callable[[_Wanted], list[nn.Module]], _Wanted]:
    given = NetworkName.parse(name)
    if given is None or given.family not in _FAMILIES or (given.norm and given.norm not in set(Norm)):
        raise AnalysisError(
            f"no network is called {name!r}; such as mlp-256-256, cnn-16-32, flatcnn-16-32, resnet20-16, resmlp4-64, "
            f"with {', '.join(Norm)} behind another '-' where it is not the usual one"
        )
    build, usual, deep = _FAMILIES[given.family]
    widths, depth = given.widths, given.depth or 0
    if deep != (given.depth is not None) or (deep and len(widths) > 1):
        wanted = "a depth and one width, as in {}8-16" if deep else "widths and no depth, as in {}-16-32"
        raise AnalysisError(f"{name!r}: it takes {wanted.format(given.family)}")
    if not all(1 <= width <= MAX_WIDTH for width in widths) or (deep and not 1 <= depth <= MAX_DEPTH):
        raise AnalysisError(f"{name!r}: widths must lie in 1..{MAX_WIDTH}, a depth in 1..{MAX_DEPTH}")
    if given.family == "resnet" and (depth < _SHALLOWEST or depth % (2 * _SEGMENTS) != 2):  # noqa: PLR2004 - 6n + 2
        raise AnalysisError(f"{name!r}: such a network has 8, 14, 20, ... layers")
    return build, _Wanted(widths, depth, Norm(given.norm) if given.norm else usual, shape, classes)


def _mlp(wanted: _Wanted) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = wanted.pixels
    for width in wanted.widths:
        layers += [nn.Linear(inputs, width), *wanted.norm.of_units(width), nn.ReLU()]
        inputs = width
    return [*layers, nn.Linear(inputs, wanted.classes)]


def _cnn(wanted: _Wanted) -> list[nn.Module]:
    layers: list[nn.Module] = []
    inputs = wanted.shape[0]
    for width in wanted.widths:
        layers += [halving()] if layers else []
        layers += [*convolution(inputs, width, wanted.norm), nn.ReLU()]
        inputs = width
    return [*layers, *_from_means(inputs, wanted)]


def _flat_cnn(wanted: _Wanted) -> list[nn.Module]:
    layers: list[nn.Module] = []
    inputs, height, width = wanted.shape
    for filters in wanted.widths:
        layers += [*convolution(inputs, filters, wanted.norm), nn.ReLU(), halving()]
        inputs, height, width = filters, -(-height // 2), -(-width // 2)
    return [*layers, nn.Flatten(), nn.Linear(inputs * height * width, wanted.classes)]


def _resnet(wanted: _Wanted) -> list[nn.Module]:
    (inputs,) = wanted.widths
    layers: list[nn.Module] = [*convolution(wanted.shape[0], inputs, wanted.norm), nn.ReLU()]
    for segment in range(_SEGMENTS):
        width = wanted.widths[0] * 2**segment
        for block in range((wanted.depth - 2) // (2 * _SEGMENTS)):
            layers.append(ResidualBlock(inputs, width, 2 if segment and block == 0 else 1, wanted.norm))
            inputs = width
    return [*layers, *_from_means(inputs, wanted)]


def _residual_mlp(wanted: _Wanted) -> list[nn.Module]:
    (width,) = wanted.widths
    blocks = [ResidualLayer(width, wanted.norm) for _ in range(wanted.depth)]
    last = [*wanted.norm.of_units(width), nn.Linear(width, wanted.classes)]
    return [nn.Flatten(), nn.Linear(wanted.pixels, width), *blocks, *last]


def _from_means(inputs: int, wanted: _Wanted) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, wanted.classes)]


_FAMILIES: Final[dict[str, tuple[Callable[[_Wanted], list[nn.Module]], Norm, bool]]] = {  # the last: has a depth
    "mlp": (_mlp, Norm.NONE, False),
    "cnn": (_cnn, Norm.NONE, False),
    "flatcnn": (_flat_cnn, Norm.NONE, False),
    "resnet": (_resnet, Norm.BATCH, True),
    "resmlp": (_residual_mlp, Norm.LAYER, True),
}
OF_WIDTHS: Final = frozenset(family for family, (_, _, deep) in _FAMILIES.items() if not deep)
"""Families whose names hold no depth: it is the number of their widths."""
