"""Prometheus and promtool, which `make prometheus` fetches; tests that need them are skipped where they are not."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from tests.support.commands import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_FETCHED = ROOT / ".tools" / "prometheus" / "usr" / "bin"
_START_SECONDS = 30.0
_POLL_SECONDS = 0.1

Labels = dict[str, str]


def tool(name: str) -> str:
    """`prometheus` or `promtool`: where it is."""
    fetched = _FETCHED / name
    found = str(fetched) if fetched.is_file() else shutil.which(name)
    if found is None:
        pytest.skip(f"NO {name.upper()} HERE, so the rules are NOT tested: run `make prometheus`")
    return found


def promtool(*arguments: str | Path) -> str:
    """What promtool says, which must be content."""
    run = subprocess.run(
        [tool("promtool"), *map(str, arguments)], check=False, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


class Prometheus:
    """The API of a running one.

    Args:
        url: Where it is.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[tuple[Labels, float]]:
        """The labels and values of an instant vector."""
        found = self._get("query", query=expression)
        assert found["resultType"] == "vector", expression
        return [(one["metric"], float(one["value"][1])) for one in found["result"]]

    def alerts(self) -> list[tuple[str, str, Labels]]:
        """Name, state (`pending` or `firing`) and labels of all that is not inactive."""
        return [(one["labels"]["alertname"], one["state"], one["labels"]) for one in self._get("alerts")["alerts"]]

    def faults(self) -> list[str]:
        """What went wrong when rules were evaluated."""
        groups = self._get("rules")["groups"]
        return [
            f"{rule['name']}: {rule['lastError']}" for group in groups for rule in group["rules"] if "lastError" in rule
        ]

    def until(self, wanted: Callable[[], bool], seconds: float, found: Callable[[], object] = lambda: None) -> None:
        """Wait until it is so; `found` tells what was there instead."""
        deadline = time.monotonic() + seconds
        while not wanted():
            assert time.monotonic() < deadline, (found(), self.alerts(), self.faults())
            time.sleep(_POLL_SECONDS)

    def _get(self, what: str, **parameters: str) -> Any:
        with urlopen(f"{self.url}/api/v1/{what}?{urlencode(parameters)}", timeout=20) as reply:  # noqa: S310 - of this machine
            found = json.load(reply)
        assert found["status"] == "success", found
        return found["data"]


@contextmanager
def running_prometheus(configuration: Mapping[str, Any], folder: Path, port: int) -> Iterator[Prometheus]:
    """One of its own, for as long as the block lasts.

    Args:
        configuration: As in prometheus.yml; paths are relative to `folder`.
        folder: For its configuration, log and storage.
        port: To answer on, of 127.0.0.1.
    """
    (folder / "prometheus.yml").write_text(yaml.safe_dump(dict(configuration)))
    flags = {
        "config.file": folder / "prometheus.yml",
        "storage.tsdb.path": folder / "storage",
        "web.listen-address": f"127.0.0.1:{port}",
    }
    command = [tool("prometheus"), *(f"--{name}={value}" for name, value in flags.items())]
    log = folder / "prometheus.log"
    with log.open("wb") as lines:
        process = subprocess.Popen(command, stdout=lines, stderr=lines, cwd=folder)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while "Server is ready to receive web requests" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(_POLL_SECONDS)
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        process.kill()  # nothing of it is kept
        process.wait()
