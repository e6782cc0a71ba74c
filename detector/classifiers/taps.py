"""Taps: hidden layers of an ONNX classifier, pooled per channel and put out beside the logits by the same graph.

Which layers: those that *everything* passes through on its way from the images to the classes, found from the graph
alone. After the node of such a layer no other tensor that depends on the images is still needed, so what it holds is
all that the classifier knows about an image at that depth. Offline only (it needs the onnx package).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from detector.classifiers.bottlenecks import Operation, Stretch, stretches
from detector.classifiers.outputs import TAPS_OUTPUT
from detector.classifiers.session import only_input, open_session
from detector.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

MAX_TAPS = 6
"""Most layers tapped."""
MAX_CHANNELS = 128
"""Most channels read of a layer; of more, evenly spaced ones."""
_FEW_STAGES = 3
_WITHOUT_STAGES = 4
_TOKENS, _MAPS = 3, 4  # ranks
_IMAGE_CHANNELS = 3
_PREFIX = "isthmus_tap_"  # of all tensors that taps add
_SHAPE_ONLY = frozenset({"Shape", "Size"})


@dataclass(frozen=True)
class Tap:
    """One tapped layer.

    Args:
        tensor: Its name in the graph.
        channels: Of them, each giving a mean and a standard deviation.
        size: Values per channel, height times width or the number of tokens.
        tokens: Whether it holds tokens, (N, tokens, channels), instead of maps, (N, channels, height, width).
    """

    tensor: str
    channels: int
    size: int
    tokens: bool = False

    @property
    def read(self) -> range:
        """The channels that are read: all, or `MAX_CHANNELS` at most, evenly spaced."""
        return range(0, self.channels, -(-self.channels // MAX_CHANNELS))


def find_layers(model: bytes, images: NDArray[Any]) -> tuple[Tap, ...]:
    """All layers that everything passes through, from the images to the classes, with more than one value a channel.

    Tensors of the images' own shape are none: whatever their axes mean, they hold the images, scaled or reordered.

    Args:
        model: A classifier, in one piece.
        images: As many as the model takes at once, two or more where it can, encoded as it wants them; the layers'
            shapes are measured on them.

    Raises:
        ClassifierError: The model can't be run on them.
    """
    proto = onnx.load_from_string(model)
    _, found = find_stretches(proto.graph)
    shapes = measured_shapes(proto, [stretch.end for stretch in found], images)
    layers = []
    for name, shape in shapes.items():
        if shape == images.shape:
            continue
        if len(shape) == _MAPS and shape[2] * shape[3] > 1:
            layers.append(Tap(name, shape[1], shape[2] * shape[3]))
        elif len(shape) == _TOKENS and shape[1] > 1:
            layers.append(Tap(name, shape[2], shape[1], tokens=True))
    return tuple(layers)


def find_stretches(graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], list[Stretch]]:
    """A graph's nodes, but for those that only ask for shapes, and the stretches between its bottlenecks."""
    nodes = [node for node in graph.node if node.op_type not in _SHAPE_ONLY]
    operations = [Operation(tuple(node.input), tuple(node.output)) for node in nodes]
    return nodes, list(stretches(operations, _images_input(graph).name, [entry.name for entry in graph.output]))


def measured_shapes(proto: onnx.ModelProto, names: list[str], images: NDArray[Any]) -> dict[str, tuple[int, ...]]:
    """The shapes tensors really have, of those that keep one row per image.

    Args:
        proto: The graph.
        names: Of its tensors.
        images: As for `find_layers`.

    Raises:
        ClassifierError: The graph can't be run on them.
    """
    probe = onnx.ModelProto()
    probe.CopyFrom(proto)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(probe.SerializeToString()).runtime
    try:
        values = session.run(names, {only_input(session).name: images})
    # ONNX Runtime's exceptions share no base class below Exception.
    except Exception as error:
        raise ClassifierError(f"the graph's hidden layers can't be read: {str(error).splitlines()[0]}") from error
    return {name: value.shape for name, value in zip(names, values, strict=True) if value.shape[:1] == images.shape[:1]}


def choose_taps(layers: Sequence[Tap], image_size: int) -> tuple[Tap, ...]:
    """Which layers to tap: the last of every stage, a stage being a run of layers of one shape.

    Networks without stages, such as transformers, are tapped at evenly spaced depths. A layer as large as an image with
    no more channels than an image is only the image again.

    Args:
        layers: As `find_layers` found them.
        image_size: Values of one channel of an image, height times width.

    Returns:
        At most `MAX_TAPS`, by rising depth; none where no layer serves.
    """
    hidden = [layer for layer in layers if layer.channels > _IMAGE_CHANNELS or layer.size != image_size]
    shapes = [(layer.channels, layer.size) for layer in hidden]
    last = [layer for at, layer in enumerate(hidden) if shapes[at + 1 : at + 2] != [shapes[at]]]
    if len(last) < _FEW_STAGES:
        return _evenly(hidden, _WITHOUT_STAGES)
    return _evenly(last, MAX_TAPS)


def _evenly(layers: Sequence[Tap], count: int) -> tuple[Tap, ...]:
    """At most `count` evenly spaced layers, the last among them."""
    if len(layers) <= count:
        return tuple(layers)
    return tuple(layers[round((i + 1) * len(layers) / count) - 1] for i in range(count))


def add_taps(model: bytes, taps: Sequence[Tap]) -> bytes:
    """Let a graph put out its tapped layers, pooled, as one more output.

    Args:
        model: A classifier, in one piece.
        taps: Layers of it, as `find_layers` found them.

    Returns:
        The same graph with the output `TAPS_OUTPUT`: float32 (N, numbers), per tap the mean of every channel read, then
        the standard deviation of each; not normalised. The other outputs stay as they are.
    """
    proto = onnx.load_from_string(model)
    pooled = [name for position, tap in enumerate(taps) for name in _pool(proto.graph, tap, f"{_PREFIX}{position}")]
    proto.graph.node.append(helper.make_node("Concat", pooled, [TAPS_OUTPUT], axis=1))
    batch = _images_input(proto.graph).type.tensor_type.shape.dim[0]
    width = 2 * sum(len(tap.read) for tap in taps)
    rows = batch.dim_value or batch.dim_param or None
    proto.graph.output.append(helper.make_tensor_value_info(TAPS_OUTPUT, TensorProto.FLOAT, [rows, width]))
    return bytes(proto.SerializeToString())


def remove_taps(model: bytes) -> bytes:
    """The graph as it was before `add_taps`; one without taps as it is."""
    proto = onnx.load_from_string(model)
    if TAPS_OUTPUT not in {entry.name for entry in proto.graph.output}:
        return model
    _keep(proto.graph.output, lambda entry: entry.name != TAPS_OUTPUT)
    _keep(proto.graph.node, lambda node: not node.output[0].startswith((_PREFIX, TAPS_OUTPUT)))
    _keep(proto.graph.initializer, lambda entry: not entry.name.startswith(_PREFIX))
    return bytes(proto.SerializeToString())


def _keep(entries: Any, wanted: Callable[[Any], bool]) -> None:
    """Take what is not wanted out of a repeated field."""
    kept = [entry for entry in entries if wanted(entry)]
    del entries[:]
    entries.extend(kept)


def _images_input(graph: onnx.GraphProto) -> onnx.ValueInfoProto:
    """The input that takes the images; others may have default values."""
    constants = {entry.name for entry in graph.initializer}
    return next(entry for entry in graph.input if entry.name not in constants)


def _pool(graph: onnx.GraphProto, tap: Tap, prefix: str) -> tuple[str, str]:
    """Append nodes that pool one layer, with operators that read alike in every opset; the names of mean and spread."""
    name = _named(prefix)
    steps = [helper.make_node("Cast", [tap.tensor], [name("float")], to=TensorProto.FLOAT)]
    maps = name("float")
    if tap.tokens:
        steps.append(helper.make_node("Transpose", [maps], [name("tokens")], perm=[0, 2, 1]))
        maps = name("tokens")
    if len(tap.read) < tap.channels:
        graph.initializer.append(numpy_helper.from_array(np.array(tap.read, np.int64), name("read")))
        steps.append(helper.make_node("Gather", [maps, name("read")], [name("channels")], axis=1))
        maps = name("channels")
    steps += [
        helper.make_node("GlobalAveragePool", [maps], [name("mean")]),
        helper.make_node("Sub", [maps, name("mean")], [name("centred")]),
        helper.make_node("Mul", [name("centred"), name("centred")], [name("squares")]),
        helper.make_node("GlobalAveragePool", [name("squares")], [name("variance")]),
        helper.make_node("Sqrt", [name("variance")], [name("deviation")]),
        helper.make_node("Flatten", [name("mean")], [name("means")], axis=1),
        helper.make_node("Flatten", [name("deviation")], [name("deviations")], axis=1),
    ]
    graph.node.extend(steps)
    return name("means"), name("deviations")


def _named(prefix: str) -> Callable[[str], str]:
    return lambda part: f"{prefix}_{part}"
