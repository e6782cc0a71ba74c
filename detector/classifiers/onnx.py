"""An ONNX file as a `Classifier`, run by ONNX Runtime alone: this is what serves."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.classifiers.base import Answers, Float32Array, ImageSpec, OutputKind
from detector.classifiers.options import check_spec, infer_spec, pixel_type
from detector.classifiers.outputs import (
    TAPS_OUTPUT,
    as_rows,
    as_spec_images,
    class_names,
    detect_output_kind,
    filled,
    probe_images,
    to_logits,
)
from detector.classifiers.session import only_input, open_session
from detector.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Sequence


_LOG = logging.getLogger("isthmus")


class OnnxClassifier:
    """A classifier in an ONNX graph.

    Args:
        model: Path of the ONNX file, or its bytes.
        spec: How the graph wants its images; None works it out from the graph's input (RGB, values in [0, 1] unless
            the input is uint8).
        labels: One name per class; None means ``class_0``, ``class_1``, ...
        threads: CPU threads within one run; None leaves the choice to ONNX Runtime.
        output_kind: What the graph puts out; None looks at its answers to a few random images.
        output_name: Which output holds the classes, for graphs with several.
        max_batch: Most images put through the graph at once.
        name: What to call it in descriptions and errors; None means the file's name.

    Raises:
        ClassifierError: The model can't be run, or contradicts an argument; the message names the argument.
    """

    def __init__(
        self,
        model: str | Path | bytes,
        *,
        spec: ImageSpec | None = None,
        labels: Sequence[str] | None = None,
        threads: int | None = None,
        output_kind: OutputKind | None = None,
        output_name: str | None = None,
        max_batch: int = 256,
        name: str | None = None,
    ) -> None:
        session = open_session(model, threads=threads)
        self._session, self.device = session.runtime, session.device
        self.name = name or ("ONNX model" if isinstance(model, bytes) else Path(model).name)
        graph_input = only_input(self._session)
        dtype = pixel_type(graph_input.type)
        if spec is None:
            spec = infer_spec(graph_input.shape, dtype)
        else:
            check_spec(spec, graph_input.shape, dtype)
        self.spec = spec
        self.input_name: str = graph_input.name
        self.output_name: str = _class_output(self._session.get_outputs(), output_name)
        batch = graph_input.shape[0]
        self.fixed_batch: int | None = batch if isinstance(batch, int) and batch > 0 else None
        self._chunk = self.fixed_batch or max_batch
        self.tap_count = _tap_count(self._session.get_outputs())
        rows, _ = self._outputs(probe_images(spec))
        self.labels = class_names(labels, rows.shape[1])
        self.output_kind = output_kind or detect_output_kind(rows)
        self.description = f"{self.name} on {session.device} (ONNX Runtime), {len(self.labels)} classes"
        _LOG.info("classifier: %s", self.description)
        if output_kind is None and self.output_kind is OutputKind.PROBABILITIES:
            _LOG.info("classifier: %s puts out probabilities; their logarithms are used as logits", self.name)

    def logits(self, images: Float32Array) -> Float32Array:
        """Classify canonical images.

        Args:
            images: float32 (N, channels, height, width), values in [0, 1], any N >= 1.

        Returns:
            float32 (N, classes): logits, or log-probabilities where the graph puts out probabilities.

        Raises:
            ClassifierError: The graph failed, or put out something that is not (N, classes) finite numbers.
        """
        return self.answers(images).logits

    def answers(self, images: Float32Array) -> Answers:
        """Classify canonical images, and read the taps on the way; images and errors as for `logits`."""
        rows, taps = self._outputs(as_spec_images(images, self.spec))
        if rows.shape[1] != len(self.labels):
            raise ClassifierError(f"{self.name}: put out {rows.shape[1]} classes instead of {len(self.labels)}")
        return Answers(to_logits(rows, self.output_kind), taps)

    def _outputs(self, images: Float32Array) -> tuple[Float32Array, Float32Array]:
        chunks = [self._run(images[start : start + self._chunk]) for start in range(0, len(images), self._chunk)]
        rows, taps = zip(*chunks, strict=True)
        return np.concatenate(rows), np.concatenate(taps)

    def _run(self, images: Float32Array) -> tuple[Float32Array, Float32Array]:
        batch = self.spec.encode(filled(images, self.fixed_batch or 1))
        names = [self.output_name, TAPS_OUTPUT] if self.tap_count else [self.output_name]
        try:
            output, *taps = self._session.run(names, {self.input_name: batch})
        # ONNX Runtime's exceptions share no base class below Exception.
        except Exception as error:
            raise ClassifierError(f"{self.name}: the graph failed: {str(error).splitlines()[0]}") from error
        rows = as_rows(output, len(batch), self.name)[: len(images)]
        return rows, self._tap_rows(taps, len(batch))[: len(images)]

    def _tap_rows(self, taps: Sequence[Any], count: int) -> Float32Array:
        """The taps' output, checked; empty rows where there are no taps."""
        if not taps:
            return np.empty((count, 0), np.float32)
        rows = as_rows(taps[0], count, f"{self.name}, taps")
        if rows.shape[1] != self.tap_count:
            raise ClassifierError(f"{self.name}: its taps gave {rows.shape[1]} numbers instead of {self.tap_count}")
        return rows


def _tap_count(outputs: Sequence[Any]) -> int:
    """Numbers per image in the taps' output; 0 where there is none."""
    widths = [entry.shape[1] for entry in outputs if entry.name == TAPS_OUTPUT and len(entry.shape) == 2]  # noqa: PLR2004 - a matrix
    return widths[0] if widths and isinstance(widths[0], int) else 0


def _class_output(outputs: Sequence[Any], wanted: str | None) -> str:
    """The output named, or the only one that can hold one row of numbers per image."""
    if wanted is not None:
        if wanted not in {entry.name for entry in outputs}:
            names = ", ".join(entry.name for entry in outputs)
            raise ClassifierError(f"output_name: the model has no output {wanted!r}; it has {names}")
        return wanted
    outputs = [entry for entry in outputs if entry.name != TAPS_OUTPUT]
    if len(outputs) == 1:
        return str(outputs[0].name)
    matrices = [str(o.name) for o in outputs if "float" in o.type and len(o.shape) == 2]  # noqa: PLR2004 - a matrix
    if len(matrices) != 1:
        names = ", ".join(entry.name for entry in outputs)
        raise ClassifierError(f"the model has several outputs ({names}): pass output_name")
    return matrices[0]
