"""Looks at a server from outside: its metrics, and what the system says of its process (Linux)."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

_KIBI = 1024


def metric(url: str, name: str) -> float:
    """The sum of a metric's series on a page."""
    with urllib.request.urlopen(url, timeout=60) as reply:  # noqa: S310 - the page of a server on this machine
        families = text_string_to_metric_families(reply.read().decode())
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


@dataclass(frozen=True)
class Holdings:
    """What a process holds.

    Args:
        files: Open files and sockets.
        threads: Of the process.
        memory: Resident bytes.
    """

    files: int
    threads: int
    memory: int

    @classmethod
    def of(cls, pid: int) -> Holdings:
        """What it holds now."""
        process = Path("/proc") / str(pid)
        lines = (line.split() for line in (process / "status").read_text().splitlines())
        told = {words[0]: words[1] for words in lines if len(words) > 1}
        files = len([*(process / "fd").iterdir()])
        return cls(files, int(told["Threads:"]), int(told["VmRSS:"]) * _KIBI)
