"""Torchvision and what builds on it can be imported beside any torch, without a warning."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from detector.classifiers.torchvision_compat import mend_torchvision
import torch
needed = mend_torchvision()
assert mend_torchvision() == needed
assert not (needed and torch.version.cuda)
import torchvision, onnx2torch
from detector.classifiers import torchvision_compat
print(len(torchvision.models.squeezenet1_1().features))
"""


def test_torchvision_imports_in_a_fresh_process() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "13"
