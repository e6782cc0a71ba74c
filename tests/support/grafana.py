"""Grafana's own types (its Foundation SDK) judge a dashboard: which of its fields there are, and what they may hold."""

from __future__ import annotations

import json
from typing import Any, get_type_hints

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from pydantic import ConfigDict, TypeAdapter, ValidationError

_LENIENT = ConfigDict(arbitrary_types_allowed=True)  # their classes are plain ones


def faults(dashboard: dict[str, Any]) -> list[str]:
    """Fields that Grafana does not know, and values of a wrong type or outside an enumeration."""
    register_default_plugins()
    read = Dashboard.from_json(json.loads(json.dumps(dashboard)))  # it changes what it is given
    written = json.loads(JSONEncoder().encode(read))
    return _lost(dashboard, written, "dashboard") + _mistyped(read, "dashboard")


def _lost(wanted: Any, found: Any, where: str) -> list[str]:
    """What was dropped or changed of what was wanted; defaults may have been added."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        lost = [f"{where}.{key}: not known" for key in wanted if key not in found]
        both = [key for key in wanted if key in found]
        return lost + [one for key in both for one in _lost(wanted[key], found[key], f"{where}.{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [one for at, (left, right) in pairs for one in _lost(left, right, f"{where}[{at}]")]
    return [] if wanted == found else [f"{where}: {wanted!r} became {found!r}"]


def _mistyped(thing: Any, where: str) -> list[str]:
    """Attributes that do not hold what their annotations say."""
    if isinstance(thing, list):
        return [one for at, item in enumerate(thing) for one in _mistyped(item, f"{where}[{at}]")]
    if isinstance(thing, dict):
        return [one for key, item in thing.items() for one in _mistyped(item, f"{where}.{key}")]
    if not type(thing).__module__.startswith("grafana_foundation_sdk."):
        return []
    wrong: list[str] = []
    for name, hint in get_type_hints(type(thing)).items():
        value = getattr(thing, name)
        try:
            TypeAdapter(hint, config=_LENIENT).validate_python(value)
        except ValidationError as error:
            wrong.append(f"{where}.{name}: {error.errors()[0]['msg']}")
        wrong += _mistyped(value, f"{where}.{name}")
    return wrong
