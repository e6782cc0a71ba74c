"""Evidence from layers: how far what the new classifier says at each depth is from what the old one says there.

A representation of the same images is a point of a space that does not see which unit is which (angular CKA; arXiv
2206.10999). So networks are compared whose weights can't be paired, and nothing but their graphs is needed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.classifiers.onnx import OnnxClassifier
from detector.errors import AnalysisError, ClassifierError, FusionError
from detector.reporting import numbers
from detector.research.representation.comparing import layer_distances, path_distance, same_layer
from detector.research.representation.onnx_layers import OnnxLayers
from detector.research.representation.path import RepresentationPath, target_point
from detector.research.representation.spaces.angular_cka import AngularCKA
from detector.transfer.evidence import Finding, Subject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Classifier
    from detector.transfer.measuring import TransferMeasurements

PATH: Final = "path"
FARTHEST: Final = "farthest"
_MOST_IMAGES: Final = 500
_SPACE: Final = AngularCKA()


def layer_findings(measured: TransferMeasurements) -> list[Finding]:
    """How far the two networks' layers are apart, in radians; it has no say."""
    try:
        old, new = _paths(measured)
    except (AnalysisError, ClassifierError, FusionError) as error:
        return [Finding(subject=Subject.LAYERS, sentence=f"the layers can't be compared: {error}")]
    apart = layer_distances(old, new, _SPACE)[1:, 1:]  # the images themselves are the same
    length = sum(_SPACE.distance(one, other) for one, other in pairwise(old.points))
    mean = path_distance(apart)
    found = [
        Finding(
            subject=Subject.LAYERS,
            detail=PATH,
            sentence=(
                f"at the same depth the two classifiers are {numbers.loss(mean)} rad apart, on average, where the old "
                f"one's path from {len(old.target)} images to their classes is {numbers.loss(length)} rad long"
            ),
            figure=mean,
        )
    ]
    return [*found, _farthest(old, same_layer(apart))] if old.names == new.names else found


def _farthest(path: RepresentationPath, apart: NDArray[np.float64]) -> Finding:
    worst = int(np.argmax(apart))
    return Finding(
        subject=Subject.LAYERS,
        detail=FARTHEST,
        sentence=f"they are farthest apart at {path.names[1 + worst]}, by {numbers.loss(float(apart[worst]))} rad",
        figure=float(apart[worst]),
    )


def _paths(measured: TransferMeasurements) -> tuple[RepresentationPath, RepresentationPath]:
    inputs = measured.inputs
    images, labels = inputs.canonical()[:_MOST_IMAGES], measured.labels[:_MOST_IMAGES]
    target = target_point(labels, len(inputs.new.labels), _SPACE)
    graphs = ((inputs.bundle.graph, inputs.old.classifier), (inputs.new.loaded.model, inputs.classifier))
    old, new = (RepresentationPath.of(_layers(*given), images, target, _SPACE) for given in graphs)
    return old, new


def _layers(model: bytes | None, classifier: Classifier) -> OnnxLayers:
    if model is None or not isinstance(classifier, OnnxClassifier):
        raise AnalysisError(f"no graph is to be had of {classifier.description}")
    return OnnxLayers(model, classifier)
