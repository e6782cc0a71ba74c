"""Functions a user might name as ``module:function``, good and bad."""

from __future__ import annotations

import torch
from torch import nn

from tests.support.tiny import TinyNet


def tiny_net() -> nn.Module:
    """A network whose weights are left to torch's random numbers."""
    return TinyNet()


def not_a_module() -> str:
    """Something else."""
    return "a module"


def failing() -> nn.Module:
    """Never returns."""
    raise OSError("no weights on this disk")


class Wrapped(nn.Module):
    """Returns its logits the way some libraries do."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.net = TinyNet()
        self.kind = kind

    def forward(self, images: torch.Tensor) -> object:
        logits = self.net(images)
        return {"mapping": {"logits": logits}, "tuple": (logits, images), "none": None}[self.kind]
