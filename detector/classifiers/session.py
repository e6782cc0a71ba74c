"""ONNX Runtime sessions: CUDA where a usable device exists, else CPU, and one honest line about which."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime

from detector.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG = logging.getLogger("isthmus")
CPU = "CPU"
"""What `Session.device` says where nothing but the processor runs it."""
_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_SEVERITY_WARNING = 2
_SEVERITY_FATAL = 4
# Scores are calibrated on one device and served on another: full float32 products and a fixed choice of convolution
# keep the two apart by rounding only.
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


class Optimisation(StrEnum):
    """How far ONNX Runtime rewrites a graph before it runs it; sums are taken in another order in each."""

    NONE = "ORT_DISABLE_ALL"
    BASIC = "ORT_ENABLE_BASIC"
    EXTENDED = "ORT_ENABLE_EXTENDED"
    ALL = "ORT_ENABLE_ALL"


@dataclass(frozen=True)
class Session:
    """An open ONNX Runtime session.

    Args:
        runtime: The `onnxruntime.InferenceSession`.
        device: Where it runs, for people: ``CUDA`` or ``CPU``.
    """

    runtime: Any
    device: str


def open_session(model: str | Path | bytes, *, threads: int | None = None) -> Session:
    """Open an ONNX model on the best device that really works.

    Args:
        model: Path of an ONNX file, or its bytes.
        threads: CPU threads within one run; None leaves the choice to ONNX Runtime.

    Raises:
        ClassifierError: The file is missing or is not a model ONNX Runtime can run.
    """
    if isinstance(model, str | Path) and not Path(model).is_file():
        raise ClassifierError(f"{model}: no such file; pass the path of an ONNX model")
    options = session_options(threads)
    source = model if isinstance(model, bytes) else str(model)
    if cuda_device_count() and _CUDA in onnxruntime.get_available_providers():
        session = _create(source, options, [(_CUDA, _CUDA_OPTIONS), _CPU])
        if session.get_providers()[0] == _CUDA:
            return Session(session, "CUDA")
        _LOG.warning("a CUDA device is present but ONNX Runtime could not use it (are CUDA and cuDNN installed?)")
    else:
        session = _create(source, options, [_CPU])
    return Session(session, CPU)


def open_on_cpu(model: bytes, *, threads: int, optimisation: Optimisation) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU, whatever else there is.

    Args:
        model: An ONNX model, in one piece.
        threads: CPU threads within one run.
        optimisation: How far ONNX Runtime rewrites the graph.

    Raises:
        ClassifierError: ONNX Runtime can't run it so.
    """
    options = session_options(threads)
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, optimisation)
    return _create(model, options, [_CPU])


def only_input(runtime: Any) -> Any:
    """The one input of an `onnxruntime.InferenceSession`: its ``name``, ``shape`` and ``type``.

    Raises:
        ClassifierError: There are none or several.
    """
    inputs = runtime.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(entry.name for entry in inputs)
        raise ClassifierError(f"the model has {len(inputs)} inputs ({names}); exactly one, the images, is expected")
    return inputs[0]


def cuda_device_count() -> int:
    """Number of CUDA devices the driver offers; 0 where there is no driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def session_options(threads: int | None = None) -> Any:
    """`onnxruntime.SessionOptions` as every session of this project wants them; threads as for `open_session`."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SEVERITY_FATAL
    # Else the threads of a run look out for more work long after it, on cores that other sessions and Python need.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _create(source: str | bytes, options: Any, providers: list[Any]) -> Any:
    try:
        with _quiet():
            if providers[0] != _CPU:
                onnxruntime.preload_dlls()
            return onnxruntime.InferenceSession(source, options, providers=providers)
    # ONNX Runtime's exceptions share no base class below Exception.
    except Exception as error:
        name = "the model" if isinstance(source, bytes) else source
        reason = str(error).splitlines()[0]
        raise ClassifierError(f"{name}: not an ONNX model that ONNX Runtime can run: {reason}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep ONNX Runtime from printing a failed CUDA start on the console; `open_session` says it in its own words."""
    onnxruntime.set_default_logger_severity(_SEVERITY_FATAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        onnxruntime.set_default_logger_severity(_SEVERITY_WARNING)
