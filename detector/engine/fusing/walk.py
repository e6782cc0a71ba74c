"""The walk as nodes of a graph: twin of `detector.engine.walker`, of the paths and views, and of the residuals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.classifiers.base import OutputKind
from detector.classifiers.outputs import TAPS_OUTPUT
from detector.engine.fusing.pixels import write_encoded
from detector.engine.fusing.writer import float_rows
from detector.paths.straight import blur_matrix, shifted_indices
from detector.profiles import PathKind, View
from detector.residuals import KERNELS, LEAST_SHARE, LEVELS, SCALES, octaves, plane_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.bundle import Bundle
    from detector.engine.fusing.copies import ForeignGraph
    from detector.engine.fusing.writer import GraphWriter
    from detector.profiles import PathPlan, PathTarget


_IMAGE: Final = "image"
_Source = str | int  # the image, a view of it, or the number of a path
_Point = tuple[_Source, int]  # how far along a path; 0 elsewhere


@dataclass(frozen=True)
class Answered:
    """Names of what one copy of the classifier gives.

    Args:
        points: What it is asked about, of every image.
        logits: float32 (N, points, classes).
        taps: float32 (N, points, numbers); "" without taps.
    """

    points: list[_Point]
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
        first, *later = _asked_together(plan)
        start = self._answers(first, images)
        image_logits = w.take(start.logits, start.points.index((_IMAGE, 0)), axis=1)
        predicted = w.op("ArgMax", image_logits, axis=1, keepdims=0)
        others = w.op("Where", self.is_class(predicted), w.number(-np.inf), image_logits)
        runner_up = w.op("ArgMax", others, axis=1, keepdims=0)
        answers = [start, *(self._answers(sources, images, predicted, runner_up) for sources in later)]
        points = [point for answered in answers for point in answered.points]
        logits = w.concat([answered.logits for answered in answers], axis=1)
        along = self._points(_IMAGE, *range(len(plan.targets)))
        return Walked(
            image_logits,
            predicted,
            runner_up,
            w.take(logits, [points.index(point) for point in along], axis=1),
            w.take(logits, [points.index((view, 0)) for view in plan.views], axis=1) if plan.views else "",
            self._taps(answers) if plan.tapped else "",
            self._residuals(images) if plan.residuals else "",
        )

    def is_class(self, classes: str) -> str:
        """Which class is the image's of `classes` (int64 (N,)): bool (N, all classes). Written once for each."""
        if classes not in self._one_hot:
            w = self._writer
            self._one_hot[classes] = w.op("Equal", w.unsqueeze(classes, 1), w.constant(np.arange(self._classes)[None]))
        return self._one_hot[classes]

    def _answers(self, sources: Sequence[_Source], images: str, predicted: str = "", runner_up: str = "") -> Answered:
        """What the classifier says of points; what is predicted need not be known where none depends on it."""
        w, shape = self._writer, self._manifest.spec.shape
        points = self._points(*sources)
        stacks = [self._stack(source, images, predicted, runner_up) for source in sources]
        rows = w.reshape(w.concat(stacks, axis=0), -1, *shape)
        name = self._classifier.write(w, write_encoded(w, rows, self._manifest.spec))
        logits = w.op("Cast", self._by_image(name(self._output), len(points), self._classes), to=1)
        if self._manifest.output_kind is OutputKind.PROBABILITIES:
            logits = w.op("Log", w.op("Max", logits, w.number(float(np.finfo(np.float32).tiny))))
        taps = self._classifier.outputs.get(TAPS_OUTPUT)
        return Answered(points, logits, self._by_image(name(TAPS_OUTPUT), len(points), taps[1]) if taps else "")

    def _by_image(self, rows: str, points: int, numbers: int) -> str:
        """(N, points, numbers) of rows that stand point by point."""
        w = self._writer
        return w.transpose(w.reshape(rows, points, -1, numbers), 1, 0, 2)

    def _points(self, *sources: _Source) -> list[_Point]:
        alphas = len(self.plan.alphas)
        return [(source, at) for source in sources for at in range(alphas if isinstance(source, int) else 1)]

    def _stack(self, source: _Source, images: str, predicted: str, runner_up: str) -> str:
        """float32 (points, N, channels, height, width)."""
        if isinstance(source, int):
            return self._path(images, self.plan.targets[source], predicted, runner_up)
        return self._writer.unsqueeze(images if source == _IMAGE else self._view(images, View(source)), 0)

    def _path(self, images: str, target: PathTarget, predicted: str, runner_up: str) -> str:
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

    def _taps(self, answers: Sequence[Answered]) -> str:
        """float32 (N, tapped points, numbers)."""
        wanted = self._points(_IMAGE, *self.plan.tapped)
        parts = [answered for answered in answers if not set(wanted).isdisjoint(answered.points)]
        found = [point for answered in parts for point in answered.points]
        taps = self._writer.concat([answered.taps for answered in parts], axis=1)
        return self._writer.take(taps, [found.index(point) for point in wanted], axis=1)

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


def inner_points(plan: PathPlan, path: int) -> range:
    """Where the inner points of a path stand in `Walked.along`."""
    start = 1 + path * len(plan.alphas)
    return range(start, start + len(plan.alphas))


def _asked_together(plan: PathPlan) -> list[list[_Source]]:
    """What goes through the classifier together, in turn: with the images, what does not depend on what is predicted.

    Points whose layers are pooled go apart from the others: ONNX Runtime keeps layers in a form of its own, and would
    have to write those of all points in the common one to pool some.
    """
    paths = range(len(plan.targets))
    free = [path for path in paths if plan.targets[path].kind is PathKind.BLUR]
    bound = [path for path in paths if path not in free]
    first: list[_Source] = [path for path in free if path in plan.tapped or not plan.tapped]
    tapped: list[_Source] = [path for path in bound if path in plan.tapped]
    others: list[_Source] = [path for path in paths if path not in first and path not in tapped]
    (others if plan.tapped else first).extend(plan.views)
    return [[_IMAGE, *first], *(sources for sources in (tapped, others) if sources)]
