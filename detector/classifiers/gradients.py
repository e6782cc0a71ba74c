"""Finds out how a gradient source wants its images, so that it stands for a classifier of other conventions."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector.classifiers.address import is_address
from detector.classifiers.base import ChannelOrder, Classifier, Float32Array, ImageSpec, Layout, PixelType
from detector.classifiers.onnx_gradients import load_onnx_gradients
from detector.classifiers.torch_sources import load_exported, load_factory
from detector.errors import ClassifierError, GradientsUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from detector.classifiers.torch import TorchClassifier, TorchSource

_LOG = logging.getLogger("isthmus")
AGREEMENT = 0.02
"""Largest disagreement (see `disagreement`) between a classifier and its gradient source. Half precision stays below
0.01; a wrong channel order, range or layout on real images is far above 0.05."""
_PLENTY = 32
_EXACT = 1e-3
_LEAST_LOG_PROBABILITY = -15.0


def load_torch_source(source: str | Path, state: str | Path | None = None) -> TorchSource:
    """Open a torch module by what its name says it is.

    Args:
        source: A ``.pt2`` program, an ``.onnx`` file (through onnx2torch) or a factory ``module:function``.
        state: Weights for a factory.

    Raises:
        ClassifierError: It is none of these, or can't be opened.
    """
    if is_address(str(source)):
        raise ClassifierError(f"{source}: shows neither weights nor gradients; give the file that runs there")
    suffix = Path(source).suffix.lower()
    if suffix == ".pt2":
        return load_exported(source)
    if suffix == ".onnx":
        return load_onnx_gradients(source)
    if ":" in str(source):
        return load_factory(str(source), state)
    raise ClassifierError(f"{source}: neither a .pt2 program, nor an .onnx file, nor a factory module:function")


def match_gradients(
    classifier: Classifier,
    source: str | Path | TorchSource,
    probe: Float32Array,
    *,
    state: str | Path | None = None,
) -> TorchClassifier:
    """Open a gradient source and find the convention in which it answers as a classifier does.

    Tried are the classifier's own `ImageSpec`, its normalisation in the other layouts and channel orders, and plain
    pixels in [0, 1] and 0..255 in each. The closest is taken.

    Args:
        classifier: Whose gradients are wanted.
        source: As for `load_torch_source`, or an opened source.
        probe: Canonical images to compare answers on, float32 (N, channels, height, width); real images tell
            conventions apart best. The first 32 are used.
        state: Weights for a factory.

    Returns:
        The source as a classifier with gradients; its `spec` is the convention that matched.

    Raises:
        ClassifierError: The source answers differently whatever the convention, or can't be opened.
        GradientsUnavailableError: It can be opened but not differentiated.
    """
    opened = load_torch_source(source, state) if isinstance(source, str | Path) else source
    if opened.dtype is PixelType.UINT8:
        raise GradientsUnavailableError(
            f"{opened.name}: takes uint8 pixels, which have no gradient; pass one of floats"
        )
    images = _whole_levels(probe[:_PLENTY])
    best, smallest, failures = None, float("inf"), []
    for spec in _conventions(classifier.spec, opened.dtype or PixelType.FLOAT32):
        try:
            candidate = opened.classifier(spec, labels=classifier.labels)
            found = disagreement(classifier, candidate, images)
        except ClassifierError as error:
            failures.append(str(error))
            continue
        if found < smallest:
            best, smallest = candidate, found
        if found <= _EXACT:
            break
    if best is None:
        raise ClassifierError(f"gradients: {opened.name} takes no image the classifier takes: {failures[0]}")
    if smallest > AGREEMENT:
        raise ClassifierError(_answers_differently(classifier, best, images, smallest))
    _LOG.info("gradients: %s, fed %s", best.description, _words(best.spec))
    return best


def disagreement(classifier: Classifier, other: Classifier, images: Float32Array) -> float:
    """How far two classifiers' log-probabilities are apart on some images.

    Returns:
        Root mean square difference over the spread of the first one's, a fraction: 0 for equal answers, about 1 for
        unrelated ones. Log-probabilities below -15 count as -15.
    """
    wanted, found = (_log_probabilities(one.logits(images)) for one in (classifier, other))
    spread = float(np.sqrt(np.mean((wanted - wanted.mean(axis=1, keepdims=True)) ** 2)))
    return float(np.sqrt(np.mean((wanted - found) ** 2))) / max(spread, 1e-6)


def _conventions(spec: ImageSpec, dtype: PixelType) -> Iterator[ImageSpec]:
    own = replace(spec, dtype=dtype)
    gray = spec.channel_order is ChannelOrder.GRAY
    orders = (ChannelOrder.GRAY,) if gray else (ChannelOrder.RGB, ChannelOrder.BGR)
    yield own
    for layout in Layout:
        for order in orders:
            yield _reordered(replace(own, layout=layout), order)
    for value_range in ((0.0, 1.0), (0.0, 255.0)):
        for layout in Layout:
            for order in orders:
                yield replace(own, layout=layout, channel_order=order, value_range=value_range, mean=(), std=())


def _reordered(spec: ImageSpec, order: ChannelOrder) -> ImageSpec:
    if order is spec.channel_order:
        return spec
    return replace(spec, channel_order=order, mean=spec.mean[::-1], std=spec.std[::-1])


def _whole_levels(images: Float32Array) -> Float32Array:
    """Images a uint8 classifier and a float one see alike."""
    return (np.rint(images * 255) / np.float32(255)).astype(np.float32)


def _log_probabilities(logits: Float32Array) -> Float32Array:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities: Float32Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.maximum(log_probabilities, np.float32(_LEAST_LOG_PROBABILITY))


def _answers_differently(classifier: Classifier, best: Classifier, images: Float32Array, smallest: float) -> str:
    same = np.argmax(classifier.logits(images), axis=1) == np.argmax(best.logits(images), axis=1)
    return (
        f"gradients: {best.description} answers differently from the classifier: in the closest convention "
        f"({_words(best.spec)}) it predicts the same class for {same.mean():.0%} of {len(images)} images and its "
        f"log-probabilities are off by {smallest:.1%} (at most {AGREEMENT:.0%} passes); is it the same network?"
    )


def _words(spec: ImageSpec) -> str:
    low, high = spec.value_range
    normalised = ", normalised" if spec.mean or spec.std else ""
    return f"{spec.layout} {spec.channel_order} {spec.dtype} {low:g}..{high:g}{normalised}"
