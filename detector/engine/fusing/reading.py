"""What a walk says, as nodes of a graph: twin of `detector.scoring.features`, of barriers and of p-values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from detector.engine.fusing.hidden_paths import Classes, write_hidden_paths
from detector.engine.fusing.walk import inner_points
from detector.profiles import PathKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.bundle import Bundle
    from detector.classifiers.base import Float32Array
    from detector.conformal import ConformalCalibration
    from detector.engine.fusing.walk import Walk, Walked
    from detector.engine.fusing.writer import GraphWriter
    from detector.scoring.tap_statistics import TapStatistics


@dataclass(frozen=True)
class Read:
    """Names of what a walk says.

    Args:
        features: float32 (N, features), in the order of `detector.scoring.features.feature_names`.
        losses: float32 (N, points): of the predicted class at the image, then at the inner points, then at the views.
        nothing: float32 (N,): 0, or NaN where one of those logits is no number or infinite.
    """

    features: str
    losses: str
    nothing: str


@dataclass(frozen=True)
class Judged:
    """Names of what a p-value follows from.

    Args:
        scores: float32 (N,).
        predicted: int64 (N,).
        stratum: int64 (N,), of difficulty; "" where there is but one.
    """

    scores: str
    predicted: str
    stratum: str = ""


def write_features(writer: GraphWriter, walk: Walk, walked: Walked, statistics: TapStatistics | None = None) -> Read:
    """Read a walk into features; with statistics of its taps, hidden paths too."""
    w = writer
    logits = w.concat([walked.along, walked.views], axis=1) if walked.views else walked.along
    logits = w.op("Cast", logits, to=TensorProto.DOUBLE)  # as `profile_features` does
    own_class = w.unsqueeze(walk.is_class(walked.predicted), 1)
    runner_up_class = w.unsqueeze(walk.is_class(walked.runner_up), 1)
    least = _double(w, -np.inf)
    own = w.reduce("Max", w.op("Where", own_class, logits, least), 2)
    runner_up = w.reduce("Max", w.op("Where", runner_up_class, logits, least), 2)
    others = w.reduce("Max", w.op("Where", own_class, least, logits), 2)
    top = w.reduce("Max", logits, 2, keep=True)
    total = w.reduce("Sum", w.op("Exp", w.op("Sub", logits, top)), 2)
    log_total = w.op("Add", w.op("Log", total), w.op("Squeeze", top, w.constant([2])))
    losses = w.op("Max", w.op("Sub", log_total, own), _double(w, 0))
    centre = w.reduce("Mean", logits, 2, keep=True)
    elevation = w.op("Sub", own, w.op("Squeeze", centre, w.constant([2])))
    deviation = w.op("Sub", logits, centre)
    spread = w.op("Sqrt", w.reduce("Mean", w.op("Mul", deviation, deviation), 2))
    channels = [
        w.op("Sub", own, others),
        losses,
        w.op("Sub", own, runner_up),
        elevation,
        spread,
        w.op("Add", losses, elevation),
    ]
    channel_features = w.op("Cast", w.concat(channels, axis=1), to=TensorProto.FLOAT)
    parts = [channel_features, *_beside(w, walked)]
    if statistics is not None:
        classes = Classes(own_class, runner_up_class)
        parts.append(write_hidden_paths(w, walked.taps, walk.plan, statistics, classes))
    features = w.concat(parts, axis=1)
    nothing = w.op("Mul", w.reduce("Sum", logits, 1, 2), _double(w, 0))
    return Read(features, *(w.op("Cast", found, to=TensorProto.FLOAT) for found in (losses, nothing)))


def _beside(w: GraphWriter, walked: Walked) -> list[str]:
    """Features that are not of logits."""
    found = []
    if walked.taps:
        start = w.op("Slice", walked.taps, w.constant([0]), w.constant([1]), w.constant([1]))
        rest = w.op("Slice", walked.taps, w.constant([1]), w.constant([np.iinfo(np.int64).max]), w.constant([1]))
        found += [w.op("Flatten", start), w.op("Flatten", w.op("Sub", rest, start))]
    return [*found, walked.residuals] if walked.residuals else found


def write_barriers(writer: GraphWriter, bundle: Bundle, walked: Walked, losses: str) -> tuple[str, str]:
    """Heights and gaps, float32 (N,) each; NaN where the plan has no path to a prototype of the predicted class."""
    w, plan = writer, bundle.manifest.plan
    rows = [i for i, target in enumerate(plan.targets) if target.kind is PathKind.PROTOTYPE]
    if not rows:
        zeros = w.op("Mul", w.op("Cast", walked.predicted, to=TensorProto.FLOAT), w.number(0))
        missing = w.op("Add", zeros, w.number(np.nan))
        return missing, missing
    kept = bundle.parts.prototypes.losses[:, [plan.targets[row].index for row in rows]]
    ends = w.op("Gather", w.constant(kept), walked.predicted, axis=0)
    start = w.take(losses, [0], axis=1)
    along = [point for row in rows for point in inner_points(plan, row)]
    by_path = w.reshape(w.take(losses, along, axis=1), 0, len(rows), -1)
    both_ends = w.op("Max", ends, start)
    heights = w.op("Max", w.reduce("Max", by_path, 2), both_ends)
    highest = w.op("ArgMax", heights, axis=1, keepdims=1)
    gaps = w.op("GatherElements", w.op("Sub", heights, both_ends), highest, axis=1)
    return w.reduce("Max", heights, 1), w.op("Squeeze", gaps, w.constant([1]))


def write_p_values(writer: GraphWriter, calibration: ConformalCalibration, judged: Judged, classes: int) -> str:
    """float64 (N,): twin of `ConformalCalibration.p_values`."""
    w, prior = writer, calibration.prior_strength
    of_cell = [cell.scores[cell.classes == c] for cell in calibration.cells for c in range(classes)]
    pools = [cell.scores for cell in calibration.cells]
    sizes = np.array([len(part) for part in of_cell], np.float64)
    cell, total, pool = judged.predicted, _double(w, len(pools[0])), w.constant(pools[0][None])
    if judged.stratum:
        cell = w.op("Add", w.op("Mul", judged.stratum, w.constant(classes)), cell)
        pool = w.op("Gather", w.constant(_padded(pools)), judged.stratum, axis=0)
        total = w.op("Gather", w.constant(np.array([len(part) for part in pools], np.float64)), judged.stratum, axis=0)
    score = w.unsqueeze(judged.scores, 1)
    size = w.op("Gather", w.constant(sizes), cell, axis=0)
    own = _at_least(w, w.op("Gather", w.constant(_padded(of_cell)), cell, axis=0), score)
    pooled = _at_least(w, pool, score)
    pooled = w.op("Div", w.op("Add", pooled, _double(w, 1)), w.op("Add", total, _double(w, 1)))
    seen = w.op("Greater", size, _double(w, 0))
    # Where there is none of a class, its quotients are of no account, but must not be 0 / 0.
    present = w.op("Max", size, _double(w, 1))
    itself = w.op("Div", present, w.op("Add", present, _double(w, prior)))
    above = w.op("Add", w.op("Add", itself, own), w.op("Mul", pooled, _double(w, prior)))
    below = w.op("Add", w.op("Add", present, itself), _double(w, prior))
    return w.op("Where", seen, w.op("Div", above, below), pooled)


def _padded(parts: Sequence[Float32Array]) -> Float32Array:
    """float32 (parts, the most of any): scores, and below them what is no score."""
    padded = np.full((len(parts), max(len(part) for part in parts)), -np.inf, np.float32)
    for row, part in zip(padded, parts, strict=True):
        row[: len(part)] = part
    return padded


def _at_least(w: GraphWriter, reference: str, score: str) -> str:
    """float64 (N,): how many of each row of the reference are at least the score, float32 (N, 1)."""
    reached = w.op("Cast", w.op("GreaterOrEqual", reference, score), to=TensorProto.DOUBLE)
    return w.reduce("Sum", reached, 1)


def _double(w: GraphWriter, value: float) -> str:
    return w.constant(np.float64(value))
