"""Choices that the command line offers, free of torch."""

from __future__ import annotations

from enum import StrEnum


class By(StrEnum):
    """What units are paired by: the weights that belong to them, or what they answer to images."""

    WEIGHTS = "weights"
    ACTIVATIONS = "activations"
