"""Mends ``import torchvision`` where torch came without CUDA.

The packaged torchvision binds to CUDA libraries. Beside a CPU build of torch its compiled operators can't be loaded,
and the import fails on the two operators whose shapes torchvision declares in Python. No classifier uses them, so
declaring their schemas is enough. Call `mend_torchvision` before anything that imports torchvision (onnx2torch does).
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import torch

_SCHEMAS = {
    "torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "torchvision::qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


@cache
def mend_torchvision() -> bool:
    """Declare what a torchvision without its compiled operators misses; says whether that was needed.

    Harmless where torchvision is absent, where torch has CUDA, and where the compiled operators load.
    """
    package = importlib.util.find_spec("torchvision")
    if torch.version.cuda is not None or package is None or package.origin is None:
        return False
    if _operators_load(Path(package.origin).parent):
        return False
    for name, schema in _SCHEMAS.items():
        torch.library.define(name, schema)
    return True


def _operators_load(folder: Path) -> bool:
    try:
        for library in folder.glob("_C*.so"):
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]  # torch types it so
    except OSError:
        return False
    return hasattr(torch.ops.torchvision, "nms")
