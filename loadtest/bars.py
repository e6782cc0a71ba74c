"""Bars: what must hold of a load test, whether it does, and the table that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Bar:
    """Something that must hold."""

    name: str
    found: str
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What is asked for; None asks nothing.

    Args:
        max_p99: Of the answers' time, milliseconds; of every kind of request.
        max_failure_share: Of all requests, 0..1.
        max_refused_share: Likewise.
        min_rate: Answered requests per second.
    """

    max_p99: float | None = None
    max_failure_share: float | None = 0.0
    max_refused_share: float | None = None
    min_rate: float | None = None


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What became of all requests.

    Args:
        answered: Right answers.
        wrong: Answers other than those computed offline.
        refused: Requests that the server had no room for.
        failed: All others.
        seconds: From the first to the last.
        p99: Milliseconds in which 99 of 100 requests were answered, by kind of request.
        crashes: Errors of the load generator's own.
    """

    answered: int
    wrong: int
    refused: int
    failed: int
    seconds: float
    p99: Mapping[str, float]
    crashes: int

    @property
    def requests(self) -> int:
        """All of them."""
        return self.answered + self.wrong + self.refused + self.failed

    @property
    def rate(self) -> float:
        """Right answers per second."""
        return self.answered / self.seconds if self.seconds > 0 else 0.0

    def share(self, count: int) -> float:
        """Of all requests, 0..1."""
        return count / self.requests if self.requests else 0.0


def judged(tally: Tally, asked: Thresholds) -> list[Bar]:
    """What must hold of every load test, and of this one."""
    bars = [
        Bar("something is answered", f"{tally.answered} of {tally.requests} requests", tally.answered > 0),
        Bar("all answers as computed offline", f"{tally.wrong} wrong", not tally.wrong),
        Bar("no errors of the load generator", f"{tally.crashes} errors", not tally.crashes),
    ]
    for name, count, most in (
        ("failed", tally.failed, asked.max_failure_share),
        ("refused", tally.refused, asked.max_refused_share),
    ):
        if most is not None:
            share = tally.share(count)
            bars.append(Bar(f"at most {most:.3%} {name}", f"{share:.3%} ({count})", share <= most))
    if asked.max_p99 is not None:
        name, slowest = max(tally.p99.items(), key=lambda item: item[1], default=("nothing answered", float("inf")))
        bars.append(Bar(f"p99 at most {asked.max_p99:g} ms", f"{slowest:g} ms ({name})", slowest <= asked.max_p99))
    if asked.min_rate is not None:
        enough = tally.rate >= asked.min_rate
        bars.append(Bar(f"at least {asked.min_rate:g} answered/s", f"{tally.rate:.1f}/s", enough))
    return bars


def bar_table(bars: Sequence[Bar]) -> Table:
    """For people."""
    table = Table("bar", "found", "")
    for bar in bars:
        table.add_row(bar.name, bar.found, "pass" if bar.holds else "FAIL")
    return table
