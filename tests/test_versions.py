from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from detector import versions

if TYPE_CHECKING:
    import pytest


def test_versions_are_those_installed() -> None:
    assert versions.project_version() == metadata.version("isthmus")
    found = versions.tool_versions()
    assert found["isthmus"] == metadata.version("isthmus")
    assert found["numpy"] == metadata.version("numpy")
    assert set(found) <= {"isthmus", *(d.metadata["Name"].lower() for d in metadata.distributions())}


def test_what_is_not_installed_is_unknown_or_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(versions, "version", missing)
    assert versions.project_version() == "unknown"
    assert versions.tool_versions() == {"isthmus": "unknown"}
