"""Which engine: what the command line and the settings offer, without loading any."""

from __future__ import annotations

from enum import StrEnum


class EngineChoice(StrEnum):
    """Which engine runs a bundle's guard.

    AUTO: the fused one, or the reference where the guard can't be one graph. FUSED: one graph. REFERENCE: plain NumPy
    around the classifier.
    """

    AUTO = "auto"
    FUSED = "fused"
    REFERENCE = "reference"
