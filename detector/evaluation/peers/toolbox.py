"""The Adversarial Robustness Toolbox's detectors, found or said to be missing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from detector.errors import MissingExtraError


def toolbox_installed() -> bool:
    """Whether the toolbox is here; nothing is imported."""
    return find_spec("art") is not None


def toolbox_detectors(peer: str) -> Any:
    """The module of its evasion detectors.

    Args:
        peer: Who needs it, for the error.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        from art.defences.detector import evasion
    except ImportError as error:
        raise MissingExtraError("adversarial-robustness-toolbox", extra="attacks", purpose=peer) from error
    return evasion
