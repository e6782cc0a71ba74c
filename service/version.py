"""The version that serves."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def isthmus_version() -> str:
    """The installed version; "unknown" where Isthmus runs from a folder that was never installed."""
    try:
        return version("isthmus")
    except PackageNotFoundError:
        return "unknown"
