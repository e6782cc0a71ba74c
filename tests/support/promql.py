"""Which metrics a query names, and which there are."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from tests.support.commands import ROOT

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'")
_LABELS = re.compile(r"\{[^{}]*\}|\[[^\]]*\]")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
_NAME = re.compile(r"(?<![\w.:])[a-zA-Z_:][\w:]*(?![\w:]|\s*\()")
# Operators, and what aggregates over labels that stand before its parenthesis.
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "sum", "min", "max", "count", "avg", "count_values"}
# What Prometheus itself knows of each target.
_OF_PROMETHEUS = {"up"}
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}


def metrics_of(expression: str) -> set[str]:
    """The metrics that a PromQL expression selects from. Selects by names, not by `__name__`."""
    bare = _GROUPING.sub(" ", _LABELS.sub(" ", _STRING.sub(" ", expression)))
    return {name for name in _NAME.findall(bare) if name not in _WORDS}


@cache
def documented_metrics() -> frozenset[str]:
    """The series of docs/metrics.md, as Prometheus names them."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    names = set(_OF_PROMETHEUS)
    for name, kind in re.findall(r"^\| `([a-z_]+)` \| (\w+) \|", page, re.MULTILINE):
        names |= {name + suffix for suffix in _SUFFIXES.get(kind, ("",))}
    return frozenset(names | set(re.findall(r"`(process_[a-z_]+)`", page)))


def dashboard_queries(dashboard: dict[str, Any], window: str = "5m") -> dict[str, list[str]]:
    """The queries of a dashboard's panels by the panels' titles, its variables filled in.

    Args:
        dashboard: As Grafana reads it.
        window: What `$__rate_interval` stands for.
    """
    filled = {"$__rate_interval": window, "$job": ".*", "$instance": ".*"}
    return {
        panel["title"]: [
            re.sub(r"\$\w+", lambda found: filled[found[0]], target["expr"]) for target in panel["targets"]
        ]
        for panel in dashboard["panels"]
        if panel["type"] != "row"
    }
