"""Versions of this project and of the tools that decide its numbers."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

_TOOLS = ("numpy", "onnx", "onnx2torch", "onnxruntime", "onnxruntime-gpu", "pillow", "scikit-learn", "torch")


def project_version() -> str:
    """This project's version; "unknown" in a checkout that is not installed."""
    return _version("isthmus") or "unknown"


def tool_versions() -> dict[str, str]:
    """Version by tool, of this project and of the installed tools."""
    found = {tool: _version(tool) for tool in _TOOLS}
    return {"isthmus": project_version(), **{tool: number for tool, number in found.items() if number}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
