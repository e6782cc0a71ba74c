"""A bundle's whole guard in one ONNX graph: images in; logits, score, p-value, verdict, barrier and stratum out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto

from detector.classifiers.outputs import TAPS_OUTPUT, class_output
from detector.engine.base import check_features
from detector.engine.fusing.copies import ForeignGraph, opset_imports
from detector.engine.fusing.difficulty import write_stratum
from detector.engine.fusing.names import (
    BARRIER_GAP,
    BARRIER_HEIGHT,
    IMAGES,
    LOGITS,
    P_VALUE,
    PATH_LOGITS,
    RESIDUALS,
    SCORE,
    STRATUM,
    TAPS,
    VERDICT,
    VIEW_LOGITS,
)
from detector.engine.fusing.pixels import PixelForm, write_canonical
from detector.engine.fusing.reading import Judged, write_barriers, write_features, write_p_values
from detector.engine.fusing.walk import Walk, inner_points
from detector.engine.fusing.writer import GraphWriter, Port
from detector.errors import ClassifierError, FusionError
from detector.residuals import residual_count
from detector.scoring.runner import OUTPUT, check_ports

if TYPE_CHECKING:
    from detector.bundle import Bundle
    from detector.engine.fusing.walk import Walked


def fuse(bundle: Bundle, *, form: PixelForm | None = None, profile: bool = False) -> bytes:
    """Write the graph.

    Args:
        bundle: A verified bundle.
        form: How the graph takes its images; None means canonical ones: float32 (N, channels, height, width).
        profile: Whether the path profile is put out too.

    Returns:
        A model with the input `IMAGES` and, for N images, the outputs `LOGITS` float32 (N, classes), `SCORE` float32
        (N,), NaN where a logit is no number or infinite, `P_VALUE` float64 (N,), `VERDICT` int64 (N,) (0 benign, 1
        suspect, 2 adversarial), `BARRIER_HEIGHT` and `BARRIER_GAP` float32 (N,), and `STRATUM` int64 (N,), 0 the
        easiest. With a profile: `PATH_LOGITS` float32 (N, paths, grid, classes), and where the plan has them
        `VIEW_LOGITS`, `TAPS` and `RESIDUALS`, as in `PathProfile`.

    Raises:
        BundleError: The scorer does not fit the plan and the classifier's taps.
        FusionError: The classifier takes only batches of a fixed size, or a graph can't be taken apart.
    """
    form = form or PixelForm()
    classifier, scorer = _parts(bundle)
    writer = GraphWriter(max(classifier.opset, scorer.opset))
    try:
        output = class_output([*classifier.outputs])
    except ClassifierError as error:
        raise FusionError(str(error)) from error
    walk = Walk(writer, bundle, classifier, output)
    walked = walk.write(write_canonical(writer, IMAGES, form))
    outputs = _evidence(writer, bundle, walk, walked, scorer)
    if profile:
        outputs |= _profile(writer, bundle, walked, _taps(classifier))
    model = writer.model(
        Port(IMAGES, form.element, form.shape(bundle.manifest.spec)),
        outputs,
        opset_imports(writer.opset, classifier, scorer),
        ir_version=max(classifier.ir_version, scorer.ir_version),
    )
    _describe(model, bundle)
    return bytes(model.SerializeToString(deterministic=True))


def _parts(bundle: Bundle) -> tuple[ForeignGraph, ForeignGraph]:
    """Classifier and scorer, which fit each other and the plan."""
    classifier = ForeignGraph(bundle.graph, "classifier")
    scorer = ForeignGraph(bundle.parts.scorer, "scorer")
    if classifier.input_sizes[0]:
        raise FusionError(
            "the classifier takes only batches of a fixed size, so its paths can't be walked in one graph"
        )
    check_ports([scorer.input], [*scorer.outputs])
    check_features(bundle, scorer=scorer.input_sizes[1], taps=_taps(classifier))
    return classifier, scorer


def _taps(classifier: ForeignGraph) -> int:
    """Numbers its taps give per image."""
    return classifier.outputs.get(TAPS_OUTPUT, (0, 0))[1]


def _evidence(writer: GraphWriter, bundle: Bundle, walk: Walk, walked: Walked, scorer: ForeignGraph) -> dict[str, Port]:
    """All that is put out in any case."""
    classes = len(bundle.manifest.labels)
    read = write_features(writer, walk, walked, bundle.parts.statistics)
    # Trees would give a number whatever they are asked about.
    score = writer.op("Add", scorer.write(writer, read.features)(OUTPUT), read.nothing)
    calibration = bundle.parts.calibration
    stratum = write_stratum(writer, calibration.strata, walked.image_logits, walk.is_class(walked.predicted))
    p_value = write_p_values(writer, calibration, Judged(score, walked.predicted, stratum), classes)
    height, gap = write_barriers(writer, bundle, walked, read.losses)
    return {
        LOGITS: Port(walked.image_logits, TensorProto.FLOAT, (classes,)),
        SCORE: Port(score, TensorProto.FLOAT, ()),
        P_VALUE: Port(p_value, TensorProto.DOUBLE, ()),
        VERDICT: Port(_verdict(writer, bundle, p_value), TensorProto.INT64, ()),
        BARRIER_HEIGHT: Port(height, TensorProto.FLOAT, ()),
        BARRIER_GAP: Port(gap, TensorProto.FLOAT, ()),
        STRATUM: Port(stratum or writer.op("Sub", walked.predicted, walked.predicted), TensorProto.INT64, ()),
    }


def _verdict(writer: GraphWriter, bundle: Bundle, p_value: str) -> str:
    rates = bundle.manifest.rates
    reached = [
        writer.op("Cast", writer.op("LessOrEqual", p_value, writer.constant(np.float64(rate))), to=TensorProto.INT64)
        for rate in (rates.suspect, rates.adversarial)
    ]
    return writer.op("Add", *reached)


def _profile(writer: GraphWriter, bundle: Bundle, walked: Walked, taps: int) -> dict[str, Port]:
    plan, classes = bundle.manifest.plan, len(bundle.manifest.labels)
    grid = (len(plan.targets), len(plan.grid), classes)
    # Every path begins with the image itself.
    points = [point for path in range(len(plan.targets)) for point in (0, *inner_points(plan, path))]
    found = {
        PATH_LOGITS: (writer.reshape(writer.take(walked.along, points, axis=1), 0, *grid), grid),
        VIEW_LOGITS: (walked.views, (len(plan.views), classes)),
        TAPS: (walked.taps, (len(plan.tapped_points), taps)),
        RESIDUALS: (walked.residuals, (residual_count(bundle.manifest.spec.shape),)),
    }
    return {name: Port(tensor, TensorProto.FLOAT, sizes) for name, (tensor, sizes) in found.items() if tensor}


def _describe(model: onnx.ModelProto, bundle: Bundle) -> None:
    facts = {
        "isthmus_bundle": bundle.digest,
        "labels": json.dumps(bundle.manifest.labels),
        "target_rates": json.dumps([bundle.manifest.rates.suspect, bundle.manifest.rates.adversarial]),
    }
    onnx.helper.set_model_props(model, facts)
