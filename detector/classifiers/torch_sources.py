"""Torch classifiers from where users keep them: a `torch.export` program, or a function that builds a module.

Both are code: load only what you would run. Weights are never unpickled.
"""

from __future__ import annotations

import importlib
import os
import sys
import zipfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from detector.classifiers.base import PixelType
from detector.classifiers.torch import TorchSource
from detector.classifiers.torchvision_compat import mend_torchvision
from detector.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_STATE_BYTES = 2 * 1024**3
_PIXEL_TYPES = {torch.float32: PixelType.FLOAT32, torch.float16: PixelType.FLOAT16, torch.uint8: PixelType.UINT8}
_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
# Parts of a .pt2 archive that torch would unpickle or run as machine code.
_REFUSED_MEMBERS = ("custom_obj", "opaque_obj", ".so")


def load_exported(path: str | Path) -> TorchSource:
    """Load a `torch.export` program (``.pt2``).

    Raises:
        ClassifierError: The file is not such a program, or its input is not images.
    """
    path = Path(path)
    _check_file(path)
    program = _load_program(path)
    shape, dtype = _declared_input(program, path)
    return TorchSource(program.module(), path.name, shape, dtype)


def load_factory(factory: str, state: str | Path | None = None) -> TorchSource:
    """Build a module by calling a Python function, and load its weights.

    Args:
        factory: ``module:function``, such as ``torchvision.models:resnet18``; called without arguments. Modules in the
            current folder are found.
        state: Its weights: a ``.safetensors`` file, or what ``torch.save(module.state_dict())`` wrote. None keeps
            those the function made (made with a fixed seed, where they are random).

    Raises:
        ClassifierError: The function can't be found or fails, or the weights don't fit.
    """
    mend_torchvision()
    module = _build(_find(factory), factory)
    if state is not None:
        _load_state(module, Path(state))
    if torch.cuda.is_available():
        module = module.to("cuda")
    return TorchSource(module, factory)


def _load_program(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise ClassifierError(f"{path}: not a torch.export program: {error}") from error
    unsafe = [name for name in names if any(part in name for part in _REFUSED_MEMBERS)]
    if unsafe:
        raise ClassifierError(f"{path}: holds {unsafe[0]}, which could run code on loading; export plain tensors")
    try:
        with _weights_only():
            return torch.export.load(path)
    # torch.export raises unrelated classes on files it can't read.
    except Exception as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise ClassifierError(f"{path}: not a torch.export program that this torch reads: {reason}") from error


@contextmanager
def _weights_only() -> Iterator[None]:
    """Make every `torch.load`, also those inside torch.export, refuse pickled objects."""
    before = os.environ.get(_WEIGHTS_ONLY)
    os.environ[_WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_WEIGHTS_ONLY]
        else:
            os.environ[_WEIGHTS_ONLY] = before


def _declared_input(program: Any, path: Path) -> tuple[tuple[int | None, ...], PixelType]:
    names = set(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(values) != 1 or not isinstance(values[0], torch.Tensor):
        raise ClassifierError(f"{path}: the program takes {len(values)} inputs; exactly one, the images, is expected")
    dtype = _PIXEL_TYPES.get(values[0].dtype)
    if dtype is None:
        raise ClassifierError(
            f"{path}: the program's input is {values[0].dtype}; float32, float16 or uint8 is expected"
        )
    return tuple(size if type(size) is int else None for size in values[0].shape), dtype


def _find(factory: str) -> Any:
    module_name, _, function_name = factory.partition(":")
    if not module_name or not function_name:
        raise ClassifierError(f"{factory}: a factory is written module:function, such as torchvision.models:resnet18")
    # Console scripts, unlike `python -m`, leave the current folder off the path; users' models live there.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise ClassifierError(f"{factory}: {error}") from error


def _build(function: Any, factory: str) -> nn.Module:
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = function()
    # A user's function may raise anything.
    except Exception as error:
        raise ClassifierError(f"{factory}: the function failed: {error!r}") from error
    if not isinstance(module, nn.Module):
        raise ClassifierError(f"{factory}: returned {type(module).__name__}; a torch.nn.Module is expected")
    return module


def _load_state(module: nn.Module, path: Path) -> None:
    _check_file(path)
    try:
        module.load_state_dict(_read_state(path))
    # torch and safetensors raise unrelated classes on files they can't read.
    except Exception as error:
        raise ClassifierError(f"{path}: these weights can't be loaded into the module: {error}") from error


def _read_state(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    nested = state.get("state_dict") if isinstance(state, Mapping) else None
    return nested if isinstance(nested, Mapping) else state


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise ClassifierError(f"{path}: no such file")
    if path.stat().st_size > MAX_STATE_BYTES:
        raise ClassifierError(f"{path}: {path.stat().st_size} bytes; at most {MAX_STATE_BYTES} are read")
