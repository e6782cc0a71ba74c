"""Real material for peers: the digits classifier with its hidden layers, attacked, and its forwards counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from detector.evaluation.peers.base import PeerData
from detector.images import to_canonical, to_pixels
from tests.support.formulas import FormulaClassifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from detector.classifiers.base import Classifier, Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.embedded import EmbeddedDefault

    Hidden = Callable[[Float32Array], tuple[Float32Array, ...]]


class Counted:
    """A classifier and its hidden layers that count the images they are asked about."""

    def __init__(self, classifier: Classifier, hidden: Hidden) -> None:
        self._classifier = classifier
        self._hidden = hidden
        self.spec, self.labels = classifier.spec, classifier.labels
        self.output_kind, self.description = classifier.output_kind, classifier.description
        self.asked = 0
        self.largest = 0

    def logits(self, images: Float32Array) -> Float32Array:
        """The classifier's."""
        self._count(images)
        return self._classifier.logits(images)

    def hidden(self, images: Float32Array) -> tuple[Float32Array, ...]:
        """The hidden layers'."""
        self._count(images)
        return self._hidden(images)

    def _count(self, images: Float32Array) -> None:
        self.asked += len(images)
        self.largest = max(self.largest, len(images))


def digits_hidden(digits: EmbeddedDefault) -> Hidden:
    """Channel means after every ReLU of the embedded classifier."""
    model = onnx.load(digits.classifier_file)
    layers = [node.output[0] for node in model.graph.node if node.op_type == "Relu"]
    for layer in layers:
        model.graph.node.append(helper.make_node("ReduceMean", [layer], [f"{layer}_pooled"], keepdims=0, axes=[2, 3]))
        model.graph.output.append(helper.make_tensor_value_info(f"{layer}_pooled", TensorProto.FLOAT, None))
    session: Any = onnxruntime.InferenceSession(model.SerializeToString())
    name = session.get_inputs()[0].name
    return lambda images: tuple(session.run([f"{layer}_pooled" for layer in layers], {name: images}))


def fast_gradient(
    classifier: TorchClassifier, images: Float32Array, labels: NDArray[np.int64], levels: float
) -> Float32Array:
    """The fast gradient sign method, rounded to whole levels."""
    pixels = torch.from_numpy(images).requires_grad_()
    loss = torch.nn.functional.cross_entropy(classifier.differentiable_logits(pixels), torch.from_numpy(labels))
    (gradient,) = torch.autograd.grad(loss, pixels)
    attacked = np.clip(images + levels / 255 * np.sign(gradient.numpy()), 0, 1)
    return to_canonical(to_pixels(attacked), classifier.spec.shape)


def peer_data(
    classifier: Classifier,
    images: Float32Array,
    labels: NDArray[np.int64] | None = None,
    *,
    hidden: Hidden | None = None,
    attacked: Mapping[str, Float32Array] | None = None,
) -> PeerData:
    """`PeerData` of what a test cares about; the hidden layer is the image itself unless one is given."""
    return PeerData(
        classifier=classifier,
        gradients=None,
        hidden=hidden or pixels,
        images=images,
        labels=np.zeros(len(images), np.int64) if labels is None else labels,
        attacked=attacked or {},
        seed=0,
    )


def pixels(images: Float32Array) -> tuple[Float32Array, ...]:
    """One hidden layer, whose channels are the image's pixels."""
    return (images.reshape(len(images), -1),)


def points(values: NDArray[np.float64]) -> Float32Array:
    """Vectors (N, d) as images of d pixels in a row, (N, 1, 1, d)."""
    return values.astype(np.float32)[:, None, None, :]


def constant_classifier(classes: int = 2) -> FormulaClassifier:
    """Logits 0, 0, ... whatever the image."""
    return FormulaClassifier(lambda images: np.zeros((len(images), classes), np.float32), classes)
