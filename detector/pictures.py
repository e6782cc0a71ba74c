"""Pictures for people: prototypes, score distributions, path profiles. PNG bytes, the same for the same input."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from detector.images import to_pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.classifiers.base import Float32Array
    from detector.detector import Detection
    from detector.paths.straight import Prototypes

_MOST_CLASSES = 50
_CLASSES_ABREAST = 10
_IMAGES_ABREAST = 10
_LONGEST_CAPTION = 24
_BINS = 60
_SMALL_LOSS = 0.01  # nats; below, the axis is linear
_COLOURS = {"BENIGN": "#2f7d4f", "SUSPECT": "#c98a12", "ADVERSARIAL": "#b3332e"}


@dataclass(frozen=True)
class PicturedImage:
    """An image to draw beside its profile.

    Args:
        title: What it is.
        image: float32 (channels, height, width), canonical.
        detection: Its answer, N = 1.
    """

    title: str
    image: Float32Array
    detection: Detection


def contact_sheet(prototypes: Prototypes, labels: Sequence[str]) -> bytes:
    """All prototypes with their losses: a column per class, ten classes side by side, the first 50 of a long list."""
    shown, per_class = min(len(labels), _MOST_CLASSES), prototypes.per_class
    columns = min(shown, _CLASSES_ABREAST)
    rows = -(-shown // columns) * per_class
    figure = Figure(figsize=(1.15 * columns + 0.2, 1.3 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for label in range(shown):
        block, column = divmod(label, columns)
        for number in range(per_class):
            axis = axes[block * per_class + number, column]
            axis.set_axis_on()
            _draw_image(axis, prototypes.images[label, number])
            axis.set_xlabel(f"loss {abs(prototypes.losses[label, number]):.1g}", fontsize=7, labelpad=2)
        axes[block * per_class, column].set_title(labels[label], fontsize=9, pad=3, parse_math=False)
    return _png(figure)


def labelled_sheet(images: Float32Array, captions: Sequence[str]) -> bytes:
    """Images with a line of text below each, ten side by side.

    Args:
        images: float32 (N, channels, height, width), canonical, N >= 1.
        captions: One each; what is long is cut.
    """
    columns = min(len(images), _IMAGES_ABREAST)
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.15 * columns + 0.2, 1.3 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(images) :]:
        axis.set_axis_off()
    for axis, image, caption in zip(axes.flat, images, captions, strict=False):
        _draw_image(axis, image)
        short = (
            caption if len(caption) <= _LONGEST_CAPTION else caption[: _LONGEST_CAPTION - 1] + "\N{HORIZONTAL ELLIPSIS}"
        )
        axis.set_xlabel(short, fontsize=7, labelpad=2, parse_math=False)
    return _png(figure)


def score_histogram(benign: Float32Array, attacked: Mapping[str, Float32Array]) -> bytes:
    """Distributions of benign scores and of each attack's; scores are nats, on a logarithmic axis."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axis = figure.subplots()
    everything = np.concatenate([benign, *attacked.values()])
    floor = max(float(np.quantile(everything, 0.005)), 1e-4)
    edges = np.geomspace(floor, max(float(everything.max()), floor * 10), _BINS)
    groups = {f"benign ({len(benign)})": benign} | {f"{name} ({len(s)})": s for name, s in attacked.items()}
    for number, (name, scores) in enumerate(groups.items()):
        counts, _ = np.histogram(np.clip(scores, edges[0], None), edges)
        style: dict[str, Any] = {"fill": True, "alpha": 0.35, "color": _COLOURS["BENIGN"]} if number == 0 else {}
        axis.stairs(counts / max(len(scores), 1), edges, label=name, **style)
    axis.set_xscale("log")
    axis.set_xlabel("score (nats; higher means more adversarial)")
    axis.set_ylabel("share of images")
    axis.legend(fontsize=8)
    return _png(figure)


def path_profiles(pictured: Sequence[PicturedImage]) -> bytes:
    """A row per image: the image, then loss and margin of the predicted class along every path."""
    figure = Figure(figsize=(10, 2.7 * len(pictured)), layout="constrained")
    axes = figure.subplots(len(pictured), 3, squeeze=False, width_ratios=(1, 2, 2))
    for row, one in zip(axes, pictured, strict=True):
        detection = one.detection
        _draw_image(row[0], one.image)
        verdict = detection.verdicts[0].value
        title = f"{one.title}\npredicted {detection.labels[0]}, {verdict}"
        row[0].set_title(title, fontsize=9, color=_COLOURS[verdict], parse_math=False)
        row[0].set_xlabel(f"score {detection.scores[0]:.2f}   p-value {detection.p_values[0]:.4f}", fontsize=8)
        plan = detection.profile.plan
        for path, target in enumerate(plan.targets):
            row[1].plot(plan.grid, detection.profile.losses[0, path], marker=".", label=target.name)
            row[2].plot(plan.grid, detection.profile.margins[0, path], marker=".", label=target.name)
        # Losses near zero matter as much as those of the runner-up's path, which are a thousand times larger.
        row[1].set_yscale("symlog", linthresh=_SMALL_LOSS)
        row[1].set_ylabel("path loss (nats)", fontsize=8)
        row[2].set_ylabel("margin (logits)", fontsize=8)
        row[2].axhline(0, color="grey", linewidth=0.7)
    for axis in axes[-1, 1:]:
        axis.set_xlabel("alpha: 0 is the image, 1 the path's end", fontsize=8)
    lines, names = axes[0, 1].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper center", ncols=len(names), fontsize=8)  # over no curve
    _share_scale(axes[:, 1])
    _share_scale(axes[:, 2])
    return _png(figure)


def _share_scale(axes: Any) -> None:
    """Curves of different images can only be compared on one scale."""
    low = min(axis.get_ylim()[0] for axis in axes)
    high = max(axis.get_ylim()[1] for axis in axes)
    for axis in axes:
        axis.set_ylim(low, high)


def _draw_image(axis: Any, image: Float32Array) -> None:
    pixels = to_pixels(image[None])[0]
    axis.imshow(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=255)
    axis.set_xticks([])
    axis.set_yticks([])


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    # No software version in the file: the same bundle must have the same bytes.
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return stream.getvalue()
