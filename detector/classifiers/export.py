"""Writes a torch classifier to files, offline: ONNX, which is all that serves, and a program that has gradients."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.jit._trace import TracerWarning

from detector.classifiers.base import Float32Array, ImageSpec, PixelType
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.outputs import probe_images
from detector.classifiers.surgery import open_batch, read_model
from detector.classifiers.torch import class_tensor
from detector.errors import ClassifierError

if TYPE_CHECKING:
    from torch import Tensor

    from detector.classifiers.torch import TorchClassifier

OPSET = 17
_BATCH = 2  # torch.export takes an example batch of one for a fixed size
_PROBES = 5
_TOLERANCE = 1e-3


def export_onnx(classifier: TorchClassifier, path: str | Path | None = None) -> bytes:
    """Export a torch classifier to an ONNX model that gives the same answers.

    Args:
        classifier: What to export.
        path: Where to write the model too; None writes nothing.

    Returns:
        The model: opset 17, input ``images`` as `served_spec` describes it, output ``logits`` or ``probabilities``; any
        number of images at once where tracing or `open_batch` can bring that about.

    Raises:
        ClassifierError: The module can't be exported, or the ONNX model answers differently.
    """
    images = probe_images(classifier.spec, _PROBES)
    wanted = classifier.logits(images)
    if not np.allclose(wanted, classifier.logits(images), rtol=_TOLERANCE, atol=_TOLERANCE):
        raise ClassifierError(
            f"{classifier.description}: answers differently when asked twice; was it exported in training mode?"
        )
    reasons = []
    for dynamic in (True, False) if classifier.fixed_batch is None else (False,):
        try:
            model = _traced(classifier, dynamic=dynamic)
            difference = _difference(model, classifier, images, wanted)
        except ClassifierError as error:
            reasons.append(str(error))
            continue
        if difference <= _TOLERANCE:
            if path is not None:
                Path(path).write_bytes(model)
            return model
        reasons.append(f"the ONNX model's answers differ by {difference:.2g} of the largest logit")
    raise ClassifierError(f"the torch classifier can't be exported to ONNX: {'; '.join(reasons)}")


def export_program(classifier: TorchClassifier, path: str | Path) -> None:
    """Write a torch classifier as a `torch.export` program, which gives its answers, has gradients and can be trained.

    Args:
        classifier: What to write; its module takes any number of images, or the number it always takes.
        path: Where to, ``.pt2``.

    Raises:
        ClassifierError: The module can't be exported, or not for any number of images.
    """
    fixed = classifier.fixed_batch
    images, more = (
        torch.from_numpy(classifier.spec.encode(probe_images(classifier.spec, count))).to(classifier.device)
        for count in (fixed or _BATCH, fixed or _PROBES)
    )
    # A program that is exported again names no bound of its batch, so the exporter finds it.
    shapes = None if fixed else ({0: torch.export.Dim.AUTO},)
    try:
        program = torch.export.export(classifier.module, (images,), dynamic_shapes=shapes)
        program.module()(more)
    # A user's module under tracing may raise anything.
    except Exception as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise ClassifierError(f"{classifier.description}: torch.export refuses it: {reason}") from error
    torch.export.save(program, path)


def write_classifier(classifier: TorchClassifier, folder: Path, name: str) -> tuple[Path, Path]:
    """Write a classifier as ``name.pt2`` and ``name.onnx``, each whole or not at all; returns the two.

    Raises:
        ClassifierError: It can't be exported, or the disk refuses.
    """
    files = folder / f"{name}.pt2", folder / f"{name}.onnx"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}.") as place:
            program, graph = (Path(place) / file.name for file in files)
            export_program(classifier, program)
            export_onnx(classifier, graph)
            for made, file in zip((program, graph), files, strict=True):
                made.replace(file)
    except OSError as error:
        raise ClassifierError(f"{folder}: the classifier can't be written: {error.strerror}") from error
    return files


def served_spec(spec: ImageSpec) -> ImageSpec:
    """How the exported model wants its images: as the module did, but float32 where that took float16."""
    return replace(spec, dtype=PixelType.FLOAT32) if spec.dtype is PixelType.FLOAT16 else spec


def _traced(classifier: TorchClassifier, *, dynamic: bool) -> bytes:
    spec = served_spec(classifier.spec)
    images = spec.encode(probe_images(spec, _PROBES))
    sample = torch.from_numpy(images[: classifier.fixed_batch or _BATCH]).to(classifier.device)
    try:
        model = _trace(_Export(classifier.module), sample, classifier.output_kind.value, dynamic=dynamic)
    # A user's module under tracing may raise anything.
    except Exception as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise ClassifierError(f"tracing failed: {reason}") from error
    return model if dynamic else open_batch(model, images)[0]


def _trace(module: nn.Module, sample: Tensor, output: str, *, dynamic: bool) -> bytes:
    # A failing exporter prints the whole traced graph; its message is enough.
    quiet = contextlib.redirect_stdout(io.StringIO())
    with warnings.catch_warnings(), torch.no_grad(), quiet, tempfile.TemporaryDirectory() as folder:
        # The exporter that needs no further package is deprecated, and it warns of Python values it can't trace and of
        # constants it leaves unfolded: the exported model is compared with the module, so a wrong trace is found.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", TracerWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        path = Path(folder) / "traced.onnx"
        torch.onnx.export(
            module,
            (sample,),
            path,
            opset_version=OPSET,
            dynamo=False,
            input_names=["images"],
            output_names=[output],
            dynamic_axes={"images": {0: "batch"}, output: {0: "batch"}} if dynamic else None,
        )
        return read_model(path)


def _difference(model: bytes, classifier: TorchClassifier, images: Float32Array, wanted: Float32Array) -> float:
    spec = served_spec(classifier.spec)
    found = OnnxClassifier(model, spec=spec, output_kind=classifier.output_kind).logits(images)
    return float(np.abs(found - wanted).max() / max(float(np.abs(wanted).max()), 1e-6))


class _Export(nn.Module):
    """What is traced: a module that puts out one tensor, and whose mode the exporter can't change."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.training = False

    def forward(self, images: Tensor) -> Tensor:
        return class_tensor(self.module(images)).flatten(1)

    def train(self, mode: bool = True) -> _Export:  # noqa: ARG002, FBT001, FBT002 - torch's signature
        return self
