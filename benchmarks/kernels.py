"""Canaries under other arithmetic: ``python -m benchmarks.kernels BUNDLE PROGRAM.pt2``.

A processor of another kind runs other kernels. PyTorch (oneDNN), held to one instruction set after the other, stands in
for that: none of its convolutions is ONNX Runtime's. Each runs in a process of its own, since the choice is made once.
Float64 says how far the stored answers are from what no rounding would give.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from detector.bundle import read_bundle

if TYPE_CHECKING:
    from detector.bundle import Canaries

_SETS: Final = {"SSE41": "default", "AVX": "default", "AVX2": "avx2", "AVX512_CORE": "avx512"}
_EXACT: Final = "float64"


def main() -> None:
    """Print the table, or, in a process of one instruction set, its row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="the bundle folder")
    parser.add_argument(
        "program", type=Path, help="a torch.export program of the same classifier: images in, logits out"
    )
    parser.add_argument("--only", help="answer under what the environment says, in float32 or float64")
    given = parser.parse_args()
    if given.only:
        sys.stdout.write(repr(_deviation(read_bundle(given.bundle).canaries, given.program, given.only)))
        return
    table = Table("arithmetic", "largest deviation, of what is allowed")
    for name, native in {**_SETS, _EXACT: "default"}.items():
        table.add_row(name, f"{_in_a_process(given.bundle, given.program, name, native):.3f}")
    Console().print(table)


def _in_a_process(bundle: Path, program: Path, name: str, native: str) -> float:
    settings = {} if name == _EXACT else {"ONEDNN_MAX_CPU_ISA": name, "ATEN_CPU_CAPABILITY": native}
    command = [sys.executable, "-m", "benchmarks.kernels", str(bundle), str(program)]
    kind = _EXACT if name == _EXACT else "float32"
    done = subprocess.run(  # noqa: S603 - this program itself
        [*command, "--only", kind], env={**os.environ, **settings}, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def _deviation(canaries: Canaries, program: Path, kind: str) -> float:
    module = torch.export.load(program).module().to(getattr(torch, kind))
    with torch.no_grad():
        answers = module(torch.from_numpy(canaries.images).to(getattr(torch, kind))).numpy()
    return float(np.max(canaries.deviations(answers)))


if __name__ == "__main__":
    main()
