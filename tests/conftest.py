"""Fixtures that every package's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of third-party data beside the checkout; the test is skipped where it is absent."""
    if not _SHARED.is_dir():
        pytest.skip(f"third-party data is not here: {_SHARED}")
    return _SHARED
