"""A bundle's guard as a model of other servers: a Triton model repository, and a KServe manifest for it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import onnx
from onnx import TensorProto

from detector.engine.fusing.fuse import fuse
from detector.engine.fusing.names import LOGITS
from detector.engine.fusing.pixels import PixelForm
from detector.errors import BundleError
from detector.folders import write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from detector.bundle import Bundle

KSERVE: Final = "kserve.yaml"
CONFIG: Final = "config.pbtxt"
_MODEL = "1/model.onnx"
_LABELS = "labels.txt"
# Of Kubernetes names, which are stricter than Triton's.
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_TRITON_TYPES: Final[dict[int, str]] = {
    TensorProto.FLOAT: "TYPE_FP32",
    TensorProto.DOUBLE: "TYPE_FP64",
    TensorProto.INT64: "TYPE_INT64",
    TensorProto.UINT8: "TYPE_UINT8",
}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What is written.

    Args:
        name: Of the model: lower-case letters, digits and hyphens, as Kubernetes wants names.
        form: How it takes its images.
        profile: Whether it puts out path profiles too.
        max_batch: Most images the server puts together.
        storage: Where KServe finds the model repository, a URI.

    Raises:
        BundleError: A value is out of range.
    """

    name: str = "isthmus"
    form: PixelForm = field(default_factory=PixelForm)
    profile: bool = False
    max_batch: int = 64
    storage: str = "pvc://models"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BundleError(f"--name must be lower-case letters, digits and hyphens, 63 at most, not {self.name!r}")
        if self.max_batch < 1:
            raise BundleError(f"--max-batch must be at least 1, not {self.max_batch}")


def export(bundle: Bundle, folder: Path, options: ExportOptions, *, overwrite: bool = False) -> None:
    """Write ``<name>/1/model.onnx``, ``<name>/config.pbtxt``, ``<name>/labels.txt`` and ``kserve.yaml``.

    Args:
        bundle: A verified bundle.
        folder: A model repository to make, whole or not at all.
        options: How.
        overwrite: Replace an export that is there.

    Raises:
        BundleError: Something is in the way, or the disk refuses.
        FusionError: The guard can't be one graph.
    """
    if folder.exists() and not (overwrite and (folder / KSERVE).is_file()):
        remedy = "pass --overwrite to replace it" if (folder / KSERVE).is_file() else "choose another place"
        raise BundleError(f"{folder}: exists; {remedy}")
    model = fuse(bundle, form=options.form, profile=options.profile)
    files = {
        f"{options.name}/{_MODEL}": model,
        f"{options.name}/{CONFIG}": triton_config(model, options).encode(),
        f"{options.name}/{_LABELS}": "".join(f"{label}\n" for label in bundle.manifest.labels).encode(),
        KSERVE: kserve_manifest(bundle, options).encode(),
    }
    try:
        write_folder(folder, files)
    except OSError as error:
        raise BundleError(f"{folder}: can't be written: {error}") from error


def triton_config(model: bytes, options: ExportOptions) -> str:
    """Triton's ``config.pbtxt`` of a fused graph."""
    graph = onnx.load_from_string(model).graph
    outputs = ",\n".join(_port(entry) for entry in graph.output)
    return (
        f'name: "{options.name}"\n'
        'platform: "onnxruntime_onnx"\n'
        f"max_batch_size: {options.max_batch}\n"
        f"input [\n{_port(graph.input[0])}\n]\n"
        f"output [\n{outputs}\n]\n"
        "dynamic_batching {}\n"
    )


def _port(entry: onnx.ValueInfoProto) -> str:
    """One input or output; numbers of which each image has one are rows of one for Triton."""
    tensor = entry.type.tensor_type
    sizes = [size.dim_value or -1 for size in tensor.shape.dim[1:]]
    lines = [f'name: "{entry.name}"', f"data_type: {_TRITON_TYPES[tensor.elem_type]}"]
    lines += [f"dims: [ {', '.join(map(str, sizes))} ]"] if sizes else ["dims: [ 1 ]", "reshape { shape: [ ] }"]
    if entry.name == LOGITS:
        lines.append(f'label_filename: "{_LABELS}"')
    return "  {\n" + "\n".join(f"    {line}" for line in lines) + "\n  }"


def kserve_manifest(bundle: Bundle, options: ExportOptions) -> str:
    """A KServe ``InferenceService`` that runs the model repository in its Triton runtime, over gRPC."""
    # JSON strings are YAML strings.
    quoted = {key: json.dumps(value) for key, value in vars(options).items() if isinstance(value, str)}
    return f"""apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {quoted["name"]}
  annotations:
    isthmus/bundle: {json.dumps(bundle.digest)}
spec:
  predictor:
    model:
      modelFormat:
        name: triton
      runtime: kserve-tritonserver
      protocolVersion: grpc-v2
      # The folder that holds {options.name}/{CONFIG}.
      storageUri: {quoted["storage"]}
      ports:
        - name: h2c
          containerPort: 9000
          protocol: TCP
      resources:
        requests:
          cpu: "1"
          memory: 2Gi
"""
