"""The walk as nodes of a graph: twin of `detector.engine.walker`, of the paths and views, and of the residuals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.classifiers.base import OutputKind
from detector.classifiers.outputs import TAPS_OUTPUT
from detector.engine.fusing.pixels import write_encoded
from detector.engine.fusing.writer import float_rows
from detector.paths.straight import blur_matrix, shifted_indices
from detector.profiles import PathKind, View
from detector.residuals import KERNELS, LEAST_SHARE, LEVELS, SCALES, octaves, plane_weights

if TYPE_CHECKING:
    from detector.bundle import Bundle
    from detector.engine.fusing.copies import ForeignGraph
    from detector.engine.fusing.writer import GraphWriter
    from detector.profiles import PathTarget


@dataclass(frozen=True)
class Answered:
    """Names of what one copy of the classifier gives.

    Args:
        logits: float32 (rows, classes).
        taps: float32 (rows, numbers), of the rows that taps read; "" without taps.
    """

    logits: str
    taps: str


@dataclass(frozen=True)
class Walked:
    """Names of what a walk gives, shaped as in `PathProfile`, and of what follows from the images' own logits.

    Args:
        image_logits: float32 (N, classes).
        predicted: int64 (N,).
        runner_up: int64 (N,).
        along: float32 (N, 1 + paths * alphas, classes), logits at the image, then at the inner points, path by path.
        views: float32 (N, views, classes); "" without views.
        taps: float32 (N, tapped points, numbers); "" where nothing is tapped.
        residuals: float32 (N, numbers); "" where they are not measured.
    """

    image_logits: str
    predicted: str
    runner_up: str
    along: str
    views: str
    taps: str
    residuals: str


class Walk:
    """Writes a bundle's walk.

    Args:
        writer: Where to.
        bundle: Whose.
        classifier: Its graph.
        output: The classifier's output that holds the classes.
    """

    def __init__(self, writer: GraphWriter, bundle: Bundle, classifier: ForeignGraph, output: str) -> None:
        self._writer, self._classifier, self._output = writer, classifier, output
        self._manifest, self.plan = bundle.manifest, bundle.manifest.plan
        self._classes = len(bundle.manifest.labels)
        self._per_class = bundle.parts.prototypes.per_class
        shape = bundle.manifest.spec.shape
        self._prototypes = writer.constant(bundle.parts.prototypes.images.reshape(-1, *shape))
        self._one_hot: dict[str, str] = {}

    def write(self, images: str) -> Walked:
        """From canonical images."""
        w, plan = self._writer, self.plan
        start = self._answers(images)
        predicted = w.op("ArgMax", start.logits, axis=1, keepdims=0)
        others = w.op("Where", self.is_class(predicted), w.number(-np.inf), start.logits)
        runner_up = w.op("ArgMax", others, axis=1, keepdims=0)
        # Tapped paths come first: what taps read is then one run of rows.
        order = [*plan.tapped, *(i for i in range(len(plan.targets)) if i not in plan.tapped)]
        parts = [self._points(images, plan.targets[i], predicted, runner_up) for i in order]
        parts += [w.unsqueeze(self._view(images, view), 0) for view in plan.views]
        points = w.reshape(w.concat(parts, axis=0), -1, *self._manifest.spec.shape)
        tapped = len(plan.tapped) * len(plan.alphas)
        count = w.op("Slice", w.op("Shape", images), w.constant([0]), w.constant([1]))
        answers = self._answers(points, tapped_rows=w.op("Mul", count, w.constant([tapped])))
        by_image = self._by_image(answers.logits, plan.forwards_per_image - 1, self._classes)
        inner = [
            order.index(path) * len(plan.alphas) + at for path in range(len(order)) for at in range(len(plan.alphas))
        ]
        return Walked(
            start.logits,
            predicted,
            runner_up,
            w.concat([w.unsqueeze(start.logits, 1), w.take(by_image, inner, axis=1)], axis=1),
            w.take(by_image, [len(inner) + i for i in range(len(plan.views))], axis=1) if plan.views else "",
            self._taps(start.taps, answers.taps, tapped) if plan.tapped else "",
            self._residuals(images) if plan.residuals else "",
        )

    def is_class(self, classes: str) -> str:
        """Which class is the image's of `classes` (int64 (N,)): bool (N, all classes). Written once for each."""
        if classes not in self._one_hot:
            w = self._writer
            self._one_hot[classes] = w.op("Equal", w.unsqueeze(classes, 1), w.constant(np.arange(self._classes)[None]))
        return self._one_hot[classes]

    def _answers(self, images: str, *, tapped_rows: str | None = None) -> Answered:
        """What the classifier says of canonical images."""
        w = self._writer
        encoded = write_encoded(w, images, self._manifest.spec)
        name = self._classifier.write(w, encoded, tapped_rows=tapped_rows)
        rows = w.op("Cast", w.reshape(name(self._output), -1, self._classes), to=1)
        if self._manifest.output_kind is OutputKind.PROBABILITIES:
            rows = w.op("Log", w.op("Max", rows, w.number(float(np.finfo(np.float32).tiny))))
        return Answered(rows, name(TAPS_OUTPUT) if TAPS_OUTPUT in self._classifier.outputs else "")

    def _points(self, images: str, target: PathTarget, predicted: str, runner_up: str) -> str:
        """float32 (alphas, N, channels, height, width): the inner points of a path."""
        w = self._writer
        match target.kind:
            case PathKind.PROTOTYPE:
                end = self._prototype(predicted, target.index)
            case PathKind.RUNNER_UP_PROTOTYPE:
                end = self._prototype(runner_up, target.index)
            case PathKind.BLUR:
                end = self._blur(images)
        alphas = float_rows(self.plan.alphas, 5)
        near = w.op("Mul", w.constant(np.float32(1) - alphas), w.unsqueeze(images, 0))
        return w.op("Add", near, w.op("Mul", w.constant(alphas), w.unsqueeze(end, 0)))

    def _prototype(self, classes: str, index: int) -> str:
        w = self._writer
        rows = w.op("Mul", classes, w.constant(self._per_class))
        return w.op("Gather", self._prototypes, w.op("Add", rows, w.constant(index)), axis=0)

    def _blur(self, images: str) -> str:
        w, spec = self._writer, self._manifest.spec
        rows, columns = (blur_matrix(size, self.plan.blur_sigma) for size in (spec.height, spec.width))
        return w.op("MatMul", w.op("MatMul", w.constant(rows), images), w.constant(columns.T))

    def _view(self, images: str, view: View) -> str:
        w, spec = self._writer, self._manifest.spec
        match view:
            case View.MIRROR:
                return w.take(images, list(range(spec.width))[::-1], axis=3)
            case View.SHIFT:
                rows, columns = (shifted_indices(size).tolist() for size in (spec.height, spec.width))
                return w.take(w.take(images, rows, axis=2), columns, axis=3)

    def _taps(self, start: str, along: str, points: int) -> str:
        """float32 (N, 1 + points, numbers)."""
        w = self._writer
        by_point = w.op("Reshape", along, w.concat([w.constant([points, -1]), self._last_size(along)], axis=0))
        return w.concat([w.unsqueeze(start, 1), w.transpose(by_point, 1, 0, 2)], axis=1)

    def _last_size(self, matrix: str) -> str:
        w = self._writer
        return w.op("Slice", w.op("Shape", matrix), w.constant([1]), w.constant([2]))

    def _by_image(self, rows: str, points: int, numbers: int) -> str:
        """float32 (N, points, numbers) of rows that stand point by point."""
        w = self._writer
        return w.transpose(w.reshape(rows, points, -1, numbers), 1, 0, 2)

    def _residuals(self, images: str) -> str:
        """float32 (N, numbers)."""
        w, (channels, height, width) = self._writer, self._manifest.spec.shape
        weights = plane_weights(channels)[:, :, None, None]
        planes = w.op("Conv", w.op("Mul", images, w.number(LEVELS)), w.constant(weights))
        found = []
        for octave in range(octaves(height, width)):
            if octave:
                planes = w.op("AveragePool", planes, kernel_shape=[2, 2], strides=[2, 2])
            found.append(self._octave(planes, channels))
        share = w.concat(found, axis=1)
        scaled = w.op("Div", w.op("Add", share, w.number(LEAST_SHARE)), w.number(1 + LEAST_SHARE))
        return w.op("Neg", w.op("Log", scaled))

    def _octave(self, planes: str, channels: int) -> str:
        """float32 (N, planes * kernels * scales): shares of small residuals."""
        w = self._writer
        padded = w.op("Pad", planes, w.constant([0, 0, 1, 1, 0, 0, 1, 1]), mode="edge")
        kernels = np.tile(KERNELS[:, None], (channels, 1, 1, 1))
        size = w.op("Abs", w.op("Conv", padded, w.constant(kernels), group=channels))
        small = (w.op("Exp", w.op("Mul", size, w.number(-1 / scale))) for scale in SCALES)
        shares = [w.unsqueeze(w.reduce("Mean", part, 2, 3), 2) for part in small]
        return w.reshape(w.concat(shares, axis=2), 0, -1)
