"""Choices that the command line offers, free of torch."""

from __future__ import annotations

from enum import StrEnum


class Maps(StrEnum):
    """How layers that say something at every position become rows of units: two different metrics.

    FLAT: each unit at each position is a unit. POOLED: a unit's mean over all positions is one.
    """

    FLAT = "flat"
    POOLED = "pooled"
