"""What comes out of a classifier's graph: checked rows, the kind of number they hold, and logits made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detector.classifiers.base import Float32Array, ImageSpec, OutputKind
from detector.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TAPS_OUTPUT = "isthmus_taps"
"""The output that taps are added as: float32 (N, numbers)."""
_PROBES = 4
_SUM_TOLERANCE = 1e-3
_MIN_CLASSES = 2


def probe_images(spec: ImageSpec, count: int = _PROBES, *, seed: int = 0) -> Float32Array:
    """Random canonical images, always the same for the same arguments: float32 (count, channels, height, width)."""
    return np.random.default_rng(seed).random((count, *spec.shape), dtype=np.float32)


def as_spec_images(images: Float32Array, spec: ImageSpec) -> Float32Array:
    """Check that a batch has the shape of canonical images of `spec`, and at least one image.

    Raises:
        ClassifierError: It has not.
    """
    if images.ndim != 1 + len(spec.shape) or images.shape[1:] != spec.shape or not len(images):
        raise ClassifierError(f"images: shape (N, {', '.join(map(str, spec.shape))}) expected, not {images.shape}")
    return images


def filled(images: NDArray[Any], size: int) -> NDArray[Any]:
    """A batch made a multiple of `size` by repeating its last image."""
    missing = -len(images) % size
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images


def class_output(names: Sequence[str]) -> str:
    """The output that holds the classes: the one that is not the taps'; bundles hold classifiers with one other.

    Raises:
        ClassifierError: There are several.
    """
    others = [name for name in names if name != TAPS_OUTPUT]
    if len(others) != 1:
        raise ClassifierError(f"the classifier has several outputs ({', '.join(others)})")
    return others[0]


def as_rows(output: NDArray[Any], count: int, name: str) -> Float32Array:
    """Check a graph's output and make it float32 (count, classes).

    Args:
        output: (count, classes) or (count, classes, 1, 1), any float type.
        count: Images that went in.
        name: The model's name, for error messages.

    Raises:
        ClassifierError: Wrong shape, fewer than two classes, or NaN or infinite numbers.
    """
    rows = output.reshape(output.shape[:2]) if output.ndim > 2 and output[0, 0].size == 1 else output  # noqa: PLR2004
    if rows.ndim != 2 or rows.shape[0] != count:  # noqa: PLR2004 - (images, classes)
        raise ClassifierError(f"{name}: the output for {count} images has shape {output.shape}, not ({count}, classes)")
    if rows.shape[1] < _MIN_CLASSES:
        raise ClassifierError(f"{name}: puts out one number per image; a classifier of two or more classes is expected")
    if not np.isfinite(rows).all():
        raise ClassifierError(f"{name}: put out NaN or infinite numbers")
    return rows.astype(np.float32)


def detect_output_kind(rows: Float32Array) -> OutputKind:
    """PROBABILITIES where every row (N, classes) lies in [0, 1] and sums to 1 within 0.001, else LOGITS."""
    inside = bool((rows >= 0).all() and (rows <= 1 + _SUM_TOLERANCE).all())
    sums_to_one = bool((np.abs(rows.sum(axis=1) - 1) <= _SUM_TOLERANCE).all())
    return OutputKind.PROBABILITIES if inside and sums_to_one else OutputKind.LOGITS


def to_logits(rows: Float32Array, kind: OutputKind) -> Float32Array:
    """Logits as they are; probabilities as logarithms, zero standing for the smallest normal float32."""
    if kind is OutputKind.LOGITS:
        return rows
    return np.log(np.maximum(rows, np.finfo(np.float32).tiny))


def class_names(labels: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    """One name per class: those given, or ``class_0``, ``class_1``, ...

    Raises:
        ClassifierError: Their number differs from the number of classes.
    """
    if labels is None:
        return tuple(f"class_{index}" for index in range(classes))
    if len(labels) != classes:
        raise ClassifierError(f"labels: {len(labels)} given, but the classifier has {classes} classes")
    return tuple(labels)
