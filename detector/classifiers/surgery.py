"""Brings an ONNX classifier into the form that serves best: any number of images at once, logits at its end.

Offline only (it needs the onnx package). Every change is checked against the model as it came, on seeded random
images; what can't be changed safely stays as it is.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime

from detector.classifiers.batching import open_batch_axis
from detector.classifiers.options import infer_spec, pixel_type
from detector.classifiers.outputs import filled, probe_images
from detector.classifiers.session import only_input, open_session, session_options
from detector.errors import ClassifierError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import ImageSpec

MAX_MODEL_BYTES = 2 * 1024**3 - 1
_PROBES = 5
# Folds the batch into another axis, which no rule could tell from mixing.
_BATCH_MERGING = ["MatMulAddFusion"]
# Relative to the largest number; half-precision layers round differently in groups of another size.
_TOLERANCE = 1e-3
_SOFTMAX_RANKS = {2, 4}
_LOGITS = "logits"


def read_model(path: str | Path) -> bytes:
    """Read an ONNX file, together with the weight files beside it where it has some, as one model.

    Raises:
        ClassifierError: The file is missing, is no ONNX model, or is larger than 2 GiB with its weights.
    """
    path = Path(path)
    try:
        _check_size(path.stat().st_size, path)
        content = path.read_bytes()
        proto = onnx.load_from_string(content)
        weights = [path.parent / name for name in _weight_files(proto)]
        if not weights:
            return content
        _check_size(sum(file.stat().st_size for file in (path, *weights)), path)
        return bytes(onnx.load(path).SerializeToString())
    except OSError as error:
        raise ClassifierError(f"{path}: can't be read: {error}") from error
    except ClassifierError:
        raise
    # protobuf and onnx raise unrelated classes on bytes that are no model.
    except Exception as error:
        raise ClassifierError(f"{path}: not an ONNX model: {error}") from error


def normalise_graph(model: bytes, *, spec: ImageSpec | None = None) -> tuple[bytes, list[str]]:
    """Open a fixed batch axis and cut a final softmax, where either provably changes nothing else.

    Args:
        model: An ONNX model, in one piece.
        spec: How it wants its images; None works it out from its input.

    Returns:
        The model that serves, and notes in plain words: what was changed, and what was tried and left.

    Raises:
        ClassifierError: The model can't be run.
    """
    images = _encoded_probes(model, spec)
    model, notes = open_batch(model, images)
    return _without_softmax(model, images, notes)


def open_batch(model: bytes, images: NDArray[Any]) -> tuple[bytes, list[str]]:
    """Open a fixed batch axis where that provably changes nothing, and close an open one that does not work.

    Args:
        model: An ONNX model, in one piece.
        images: Several, encoded as the model wants them, to check the answers on.

    Returns:
        The model, and notes in plain words.
    """
    batch = only_input(open_session(model).runtime).shape[0]
    if not isinstance(batch, int) or batch < 1:
        return _checked_open_batch(model, images)
    for candidate in (model, fold_constants(model)):
        opened = open_batch_axis(onnx.load_from_string(candidate))
        if opened is None:
            continue
        changed = bytes(opened.SerializeToString())
        if _same_answers(changed, model, images, chunk=batch):
            return changed, [f"the batch dimension was fixed at {batch}; it was made dynamic, with the same answers"]
    return model, [
        f"the batch dimension is fixed at {batch} and could not be made dynamic safely; images run in groups of {batch}"
    ]


def _checked_open_batch(model: bytes, images: NDArray[Any]) -> tuple[bytes, list[str]]:
    """A graph that says it takes any batch may still mix its images, or fail on more than one."""
    if _same_answers(model, model, images, chunk=1):
        return model, []
    note = (
        "the model says it takes any batch, but answers differently (or fails) on several images at once; "
        "its batch dimension was fixed at 1 and images run one by one"
    )
    proto = onnx.load_from_string(model)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return bytes(proto.SerializeToString()), [note]


def _without_softmax(model: bytes, images: NDArray[Any], notes: list[str]) -> tuple[bytes, list[str]]:
    proto = onnx.load_from_string(model)
    if not _cut_softmax(proto):
        return model, notes
    changed = bytes(proto.SerializeToString())
    batch = only_input(open_session(model).runtime).shape[0]
    chunk = batch if isinstance(batch, int) else len(images)
    before, after = _answers(model, images, chunk), _answers(changed, images, chunk)
    if before is None or after is None or not np.allclose(_softmax(after[0]), before[0], atol=_TOLERANCE):
        return model, notes
    return changed, [*notes, "the final softmax was cut off, so that the model puts out logits"]


def _cut_softmax(proto: onnx.ModelProto) -> bool:
    """Let the input of a final Softmax over the classes be the only output; says whether there was one."""
    if len(proto.graph.output) != 1:
        return False
    output = proto.graph.output[0]
    ending = _ending(proto.graph, output.name)
    if not ending or ending[-1].op_type != "Softmax":
        return False
    last = ending[-1]
    rank = len(output.type.tensor_type.shape.dim)
    axes = [attribute.i for attribute in last.attribute if attribute.name == "axis"]
    if rank not in _SOFTMAX_RANKS or (axes[0] if axes else 1) % rank != 1:
        return False
    for node in ending:
        proto.graph.node.remove(node)
    output.name = _renamed(proto.graph, last.input[0])
    return True


def _ending(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """The nodes that make an output, last first, back to the first that does something."""
    makers = {output: node for node in graph.node for output in node.output}
    ending = []
    while name in makers:
        ending.append(makers[name])
        if makers[name].op_type != "Identity":
            break
        name = makers[name].input[0]
    return ending


def _renamed(graph: onnx.GraphProto, name: str) -> str:
    """Call a tensor ``logits``, since clients see the names of outputs; keeps its name where that one is taken."""
    taken = {entry for node in graph.node for entry in (*node.input, *node.output)}
    if _LOGITS in taken | {entry.name for entry in graph.input}:
        return name
    for node in graph.node:
        for names in (node.input, node.output):
            for position, entry in enumerate(names):
                if entry == name:
                    names[position] = _LOGITS
    return _LOGITS


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _encoded_probes(model: bytes, spec: ImageSpec | None) -> NDArray[Any]:
    graph_input = only_input(open_session(model).runtime)
    spec = spec or infer_spec(graph_input.shape, pixel_type(graph_input.type))
    return spec.encode(probe_images(spec, _PROBES))


def _same_answers(changed: bytes, model: bytes, images: NDArray[Any], *, chunk: int) -> bool:
    """Whether all images at once through one model give what groups of `chunk` give through the other."""
    wanted = _answers(model, images, chunk)
    found = _answers(changed, images, len(images))
    if wanted is None or found is None:
        return False
    return all(_close(one, other) for one, other in zip(found, wanted, strict=True))


def _close(found: NDArray[Any], wanted: NDArray[Any]) -> bool:
    if found.shape != wanted.shape:
        return False
    scale = max(float(np.abs(wanted).max()), 1e-6)
    return bool(np.allclose(found, wanted, rtol=_TOLERANCE, atol=_TOLERANCE * scale))


def _answers(model: bytes, images: NDArray[Any], chunk: int) -> list[NDArray[Any]] | None:
    """All outputs, images run in groups of `chunk` (the last filled up); None where the graph fails."""
    try:
        session = open_session(model).runtime
    except ClassifierError:
        return None
    name = only_input(session).name
    batch = filled(images, chunk)
    try:
        runs = [session.run(None, {name: batch[i : i + chunk]}) for i in range(0, len(batch), chunk)]
        return [np.concatenate(parts)[: len(images)] for parts in zip(*runs, strict=True)]
    # ONNX Runtime's exceptions share no base class below Exception; failing on a batch is an answer here.
    except Exception:  # noqa: BLE001
        return None


def fold_constants(model: bytes) -> bytes:
    """The same graph with everything computed that does not depend on the pixels, sizes included."""
    with tempfile.TemporaryDirectory() as folder:
        options = session_options()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=_BATCH_MERGING
        )
        folded = onnx.load(options.optimized_model_filepath)
    used = {node.domain for node in folded.graph.node} | {""}
    kept = [entry for entry in folded.opset_import if entry.domain in used]
    del folded.opset_import[:]
    folded.opset_import.extend(kept)
    return bytes(folded.SerializeToString())


def _weight_files(proto: onnx.ModelProto) -> set[str]:
    """Names of the files that hold a model's weights, for models that keep them apart."""
    entries = [entry for tensor in proto.graph.initializer for entry in tensor.external_data]
    return {entry.value for entry in entries if entry.key == "location"}


def _check_size(size: int, path: Path) -> None:
    if size > MAX_MODEL_BYTES:
        raise ClassifierError(f"{path}: {size} bytes with its weights; at most {MAX_MODEL_BYTES} (2 GiB) can be served")
