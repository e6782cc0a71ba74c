"""Images worth looking at: what the guard caught, missed, and flagged without cause, each with its walk."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

from detector.evaluation.results import Example
from detector.images import to_pixels, to_png

if TYPE_CHECKING:
    from detector.classifiers.base import UInt8Array
    from detector.evaluation.material import Material, Scored

_EACH = 3


def examples(material: Material) -> list[Example]:
    """Hits, misses and false alarms, three of each, from different attacks where there are as many."""
    rates, labels = material.detector.bundle.manifest.rates, material.detector.bundle.manifest.labels
    hits: list[Example] = []
    misses: list[Example] = []
    for name, attack in material.attacked.items():
        detection = attack.scored.detection
        surest, furthest = int(np.argmin(detection.p_values)), int(np.argmax(detection.p_values))
        truth = material.labels[material.targets[attack.rows]]
        for chosen, row, kind in ((hits, surest, "hit"), (misses, furthest, "miss")):
            if (detection.p_values[row] <= rates.suspect) == (kind == "hit"):
                title = f"{name}: {labels[truth[row]]} taken for {detection.labels[row]}"
                chosen.append(_example(attack.scored, row, kind, title))
    alarms = [
        _example(material.benign, row, "false alarm", _benign_title(material, row))
        for row in np.argsort(material.benign.detection.p_values, kind="stable")[:_EACH].tolist()
    ]
    misses.sort(key=lambda example: -example.p_value)
    return [*_spread(hits), *misses[:_EACH], *alarms]


def _spread(found: list[Example]) -> list[Example]:
    """A few, evenly spaced over the attacks."""
    places = np.linspace(0, len(found) - 1, min(_EACH, len(found))).round().astype(int)
    return [found[at] for at in places]


def _benign_title(material: Material, row: int) -> str:
    predicted = material.benign.detection.labels[row]
    if material.right[row]:
        return f"benign {predicted}, classified correctly"
    return f"benign {material.detector.bundle.manifest.labels[material.labels[row]]}, taken for {predicted}"


def _example(scored: Scored, row: int, kind: str, title: str) -> Example:
    profile = scored.detection.profile
    losses = profile.losses[row]
    return Example(
        kind=kind,
        title=title,
        png=_png(to_pixels(scored.images[row : row + 1])[0]),
        score=float(scored.detection.scores[row]),
        p_value=float(scored.detection.p_values[row]),
        alphas=profile.plan.grid,
        losses={target.name: losses[path].tolist() for path, target in enumerate(profile.plan.targets)},
    )


def _png(pixels: UInt8Array) -> str:
    return base64.b64encode(to_png(pixels)).decode()
