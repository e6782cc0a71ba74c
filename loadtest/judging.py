"""After the load: locust's statistics against what was asked for; the exit code says whether it holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from locust.runners import MasterRunner, WorkerRunner
from rich.console import Console

from loadtest.bars import Bar, Tally, bar_table, judged
from loadtest.options import thresholds_of
from loadtest.users import ANSWERED, REFUSED, WRONG

if TYPE_CHECKING:
    from locust.env import Environment

_BARS: Final[list[Bar]] = []
_CLOCKS: Final[list[tuple[float, float]]] = []
"""Time and this process's CPU time, seconds, when the load began and when it ended."""


def look_at_clocks(**_: Any) -> None:
    """When the load begins and when it ends."""
    _CLOCKS.append((time.perf_counter(), time.process_time()))


def judge(environment: Environment, **_: Any) -> None:
    """Set the exit code: 1 where a bar does not hold. A worker's is its master's business."""
    given: Any = environment.parsed_options
    if isinstance(environment.runner, MasterRunner):
        _CLOCKS.clear()  # it does not ask
    if isinstance(environment.runner, WorkerRunner):
        environment.process_exit_code = 0
        return
    _BARS[:] = judged(tally_of(environment), thresholds_of(given))
    environment.process_exit_code = int(not all(bar.holds for bar in _BARS))


def show(**_: Any) -> None:
    """Print the bars, after everything locust prints, and what the asking itself cost."""
    console = Console()
    if len(_CLOCKS) > 1:
        (begin, before), (end, after) = _CLOCKS[0], _CLOCKS[-1]
        console.print(f"this load generator took {(after - before) / (end - begin):.0%} of a core")
    if _BARS:
        console.print(bar_table(_BARS))


def tally_of(environment: Environment) -> Tally:
    """What became of all requests."""
    stats, runner = environment.stats, environment.runner
    counts = dict.fromkeys((ANSWERED, REFUSED, WRONG), 0)
    failed, p99 = 0, {}
    for entry in stats.entries.values():
        counts[entry.method] += entry.num_requests
        if entry.method == ANSWERED:
            failed += entry.num_failures
            p99[entry.name] = float(entry.get_response_time_percentile(0.99))
    return Tally(
        answered=counts[ANSWERED] - failed,
        wrong=counts[WRONG],
        refused=counts[REFUSED],
        failed=failed,
        seconds=(stats.total.last_request_timestamp or stats.total.start_time) - stats.total.start_time,
        p99=p99,
        crashes=sum(int(crash["count"]) for crash in runner.exceptions.values()) if runner else 0,
    )
