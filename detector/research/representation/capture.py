"""What every layer of a network says to the same images, layer by layer, in batches and within a bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.special import softmax

from detector.errors import AnalysisError
from detector.research.representation.kinds import Maps
from detector.research.representation.spaces.centring import MOST_INPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.research.representation.layered import Layered
    from detector.research.representation.layers import Layer
    from detector.research.representation.spaces.base import Array

INPUT: Final = "input"
LOGITS: Final = "logits"
SOFTMAX: Final = "softmax"
MAX_NUMBERS: Final = 2**27
"""Most numbers one layer may say to all images, 1 GiB in float64."""
_TOGETHER = 2**25  # numbers kept at once, of several layers; the network is run again for the rest
_AXES: Final[dict[int, tuple[int, ...]]] = {
    3: (1,),
    4: (2, 3),
}  # ranks with positions: tokens (N, T, units), maps (N, units, H, W)


def path_names(network: Layered) -> tuple[str, ...]:
    """The names of all that `capture` gives, in its order."""
    return (INPUT, *(layer.name for layer in network.layers), LOGITS, SOFTMAX)


def capture(network: Layered, images: Float32Array, *, maps: Maps = Maps.FLAT) -> Iterator[tuple[str, Array]]:
    """What the images are at each depth of a network.

    Layers are held together as far as memory allows; for more of them the images are put through the network again.

    Args:
        network: Which.
        images: float32 (N, channels, height, width), canonical, N >= 2.
        maps: How maps and tokens become units; images are always flat.

    Yields:
        By rising depth a name and float64 (N, units): the images, every hidden layer, the logits, and their softmax.

    Raises:
        AnalysisError: There are too few or too many images, or a layer is too large or says what is no number; names
            it.
        ClassifierError: The network fails.
    """
    if not 2 <= len(images) <= MOST_INPUTS:  # noqa: PLR2004 - one image has no neighbour
        raise AnalysisError(f"images: 2..{MOST_INPUTS} of them are compared, not {len(images)}")
    _check_size(INPUT, len(images), images[0].size, "fewer images would do")
    for layer in network.layers:
        hint = "fewer images, or units pooled over positions, would do" if maps is Maps.FLAT else "use fewer images"
        _check_size(layer.name, len(images), _units(layer.shape, maps), hint)
    yield INPUT, images.reshape(len(images), -1).astype(np.float64)
    logits: Array | None = None
    for group in _groups(network.layers, len(images), maps):
        hidden, rows = _read(network, images, group, maps)
        logits = rows
        for layer in group:
            yield layer.name, _numbers(layer.name, hidden.pop(layer.tensor))
    if logits is None:
        _, logits = _read(network, images, (), maps)
    yield LOGITS, logits
    yield SOFTMAX, softmax(logits, axis=1)


def units(values: NDArray[Any], maps: Maps) -> NDArray[Any]:
    """What a layer said as rows of units, (N, units).

    Args:
        values: (N, ...), of any rank above 1.
        maps: How positions are dealt with; without them nothing is to do.
    """
    axes = _AXES.get(values.ndim)
    if maps is Maps.POOLED and axes:
        return np.asarray(values.mean(axis=axes, dtype=np.float64))
    return values.reshape(len(values), -1)


def _units(shape: Sequence[int], maps: Maps) -> int:
    return units(np.broadcast_to(np.float32(0), (1, *shape)), maps).shape[1]


def _check_size(name: str, images: int, size: int, hint: str) -> None:
    if images * size > MAX_NUMBERS:
        raise AnalysisError(
            f"layer {name}: {size} units for each of {images} images are {images * size} numbers, more than "
            f"{MAX_NUMBERS}; {hint}"
        )


def _groups(layers: Sequence[Layer], images: int, maps: Maps) -> list[tuple[Layer, ...]]:
    """Layers that are held together, in their order."""
    groups: list[tuple[Layer, ...]] = []
    room = 0
    for layer in layers:
        size = images * _units(layer.shape, maps)
        if size > room or not groups:
            groups.append(())
            room = _TOGETHER
        groups[-1] = (*groups[-1], layer)
        room -= size
    return groups


def _read(
    network: Layered, images: Float32Array, layers: Sequence[Layer], maps: Maps
) -> tuple[dict[str, NDArray[Any]], Array]:
    hidden: dict[str, NDArray[Any]] = {}
    logits = np.empty((len(images), network.classes))
    for begin in range(0, len(images), network.most):
        rows = slice(begin, begin + network.most)
        said = network.say(images[rows], layers)
        logits[rows] = said.logits
        for name, values in said.hidden.items():
            found = units(values, maps)
            if name not in hidden:
                hidden[name] = np.empty((len(images), found.shape[1]), found.dtype)
            hidden[name][rows] = found
    return hidden, logits


def _numbers(name: str, values: NDArray[Any]) -> Array:
    if not np.isfinite(values).all():
        raise AnalysisError(f"layer {name}: it says NaN or infinity to some image")
    return values.astype(np.float64)
