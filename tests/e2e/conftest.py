from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def served(digits_bundle: Path) -> Iterator[str]:
    """The address of `isthmus serve` on the digits bundle; it must end well at the end."""
    running = started("serve", "--bundle", str(digits_bundle), "--port", "0", "--no-metrics", "--drain-delay", "0")
    assert running.stderr
    try:
        lines = map(json.loads, running.stderr)
        yield str(next(line["address"] for line in lines if line["event"] == "listening"))
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=30)
        assert running.returncode == 0
    finally:
        running.kill()
        running.communicate()
