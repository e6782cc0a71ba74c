"""Writes the Grafana dashboard, `dashboards/isthmus.json` beside this file; a test fails when the two differ.

Run it as `python -m deploy.grafana.dashboard` after any change.
"""
# ruff: noqa: INP001 - a script

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from deploy.grafana.panels import JOB, ROWS, Panel

OUT: Final = Path(__file__).parent / "dashboards" / "isthmus.json"

Json = dict[str, Any]

_WIDTH: Final = 24  # of a row, in Grafana's units
_HEIGHT: Final = 7
_SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}


def _targets(panel: Panel) -> list[Json]:
    more: Json = {"format": "heatmap"} if panel.kind == "heatmap" else {}
    return [
        {"refId": chr(ord("A") + at), "datasource": _SOURCE, "expr": query.expression, "legendFormat": query.legend}
        | more
        for at, query in enumerate(panel.queries)
    ]


def _thresholds(panel: Panel) -> Json:
    colours = ("green", *("yellow", "orange", "red")[-len(panel.limits) :])
    steps = [{"color": colour, "value": at} for colour, at in zip(colours, (None, *panel.limits), strict=False)]
    return {"mode": "absolute", "steps": steps}


def _look(panel: Panel) -> Json:
    """What differs between kinds of panels."""
    defaults: Json = {"unit": panel.unit, "min": 0}
    if panel.limits:
        defaults["thresholds"] = _thresholds(panel)
    if panel.kind == "stat":
        reduce: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"options": {"reduceOptions": reduce, "graphMode": "none"}, "fieldConfig": _fields(defaults)}
    if panel.kind == "heatmap":
        axis: Json = {"unit": panel.unit, "axisPlacement": "left"}
        options: Json = {
            "calculate": False,
            "yAxis": axis,
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        }
        return {"options": options, "fieldConfig": _fields({})}
    custom: Json = {"lineWidth": 1, "fillOpacity": 30 if panel.stacked else 5, "showPoints": "never"}
    if panel.stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    if panel.limits:
        custom["thresholdsStyle"] = {"mode": "dashed"}
    legend: Json = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return {"options": options, "fieldConfig": _fields(defaults | {"custom": custom})}


def _fields(defaults: Json) -> Json:
    return {"defaults": defaults, "overrides": []}


def _panels() -> list[Json]:
    panels: list[Json] = []
    top = 0

    def add(place: Json, **content: Any) -> None:
        panels.append({"id": len(panels) + 1, "gridPos": place} | content)

    for title, row in ROWS.items():
        add({"x": 0, "y": top, "w": _WIDTH, "h": 1}, type="row", title=title, collapsed=False, panels=[])
        width = _WIDTH // len(row)
        for at, panel in enumerate(row):
            add(
                {"x": at * width, "y": top + 1, "w": width, "h": _HEIGHT},
                type=panel.kind,
                title=panel.title,
                description=panel.description,
                datasource=_SOURCE,
                targets=_targets(panel),
                **_look(panel),
            )
        top += 1 + _HEIGHT
    return panels


def _variable(name: str, query: str) -> Json:
    return {
        "type": "query",
        "name": name,
        "datasource": _SOURCE,
        "query": query,
        "refresh": 2,  # whenever the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def dashboard() -> Json:
    """The whole dashboard, as Grafana reads it."""
    firing: Json = {
        "name": "Alerts",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": f'ALERTS{{alertname=~"Isthmus.*", alertstate="firing", {JOB}}}',
    }
    return {
        "uid": "isthmus",
        "title": "Isthmus",
        "description": "Adversarial detection: what it sees, answers and costs. What to do is in docs/operations.md.",
        "tags": ["isthmus"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "annotations": {"list": [firing]},
        "templating": {
            "list": [
                {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus"},
                _variable("job", "label_values(isthmus_ready, job)"),
                _variable("instance", 'label_values(isthmus_ready{job=~"$job"}, instance)'),
            ]
        },
        "panels": _panels(),
    }


def text() -> str:
    """The file's text."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    OUT.write_text(text())
