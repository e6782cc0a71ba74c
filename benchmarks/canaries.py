"""What canaries catch, and whether they cry wolf: ``python -m benchmarks.canaries BUNDLE IMAGES [--others FILE ...]``.

The bundle's canaries against others of its classifier: the first eight images and two hundredths of the logits' spread,
which is what bundles before schema 5 had; random images and images near the decision boundary with the same allowances
as the bundle's; and what a bundle of a remote classifier has. Each change of the classifier is put to all of them. Then
the same classifier is started many times in many ways, and must never be refused.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.canary_changes import Case, changes
from benchmarks.canary_restarts import restart
from detector.bundle import Canaries, read_bundle
from detector.canaries.making import COUNT, answered_anew, make_canaries
from detector.canaries.running import logits_of
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.taps import remove_taps
from detector.data.opening import open_images
from detector.data.source import read_all
from detector.errors import ClassifierError
from detector.images import to_canonical

if TYPE_CHECKING:
    from detector.classifiers.base import Classifier, Float32Array

_BEFORE: Final = 8
_DRAWS: Final = 5


@dataclass(frozen=True)
class Contender:
    """A way of choosing canaries.

    Args:
        name: For people.
        draws: What came of it, once or as often as it was drawn.
    """

    name: str
    draws: list[Canaries]

    def caught(self, answers: list[Float32Array] | None) -> float:
        """The share of draws that notice; answers that are no numbers are noticed by all."""
        if answers is None:
            return 1.0
        pairs = zip(self.draws, answers, strict=True)
        return float(np.mean([bool((draw.deviations(given) > 1).any()) for draw, given in pairs]))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="the bundle folder")
    parser.add_argument("images", type=Path, help="held-out images, as for calibrate")
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="ONNX files that are not the classifier")
    parser.add_argument("--flips", type=int, default=50, help="bit flips of each kind")
    parser.add_argument("--restarts", type=int, default=1000)
    parser.add_argument("--limit", type=int, default=1000, help="images that others are chosen from")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    console, bundle = Console(), read_bundle(given.bundle)
    spec, graph = bundle.manifest.spec, remove_taps(bundle.graph)
    classifier = OnnxClassifier(
        graph, spec=spec, labels=bundle.manifest.labels, output_kind=bundle.manifest.output_kind, threads=1
    )
    pixels = read_all(open_images(given.images), spec.shape, limit=given.limit, seed=given.seed).pixels
    images = to_canonical(pixels, spec.shape)
    contenders = _contenders(bundle.canaries, classifier, graph, images, given.seed)
    table = Table("change", "cases", *(contender.name for contender in contenders))
    rows = changes(
        graph,
        spec.encode(images),
        classes=len(classifier.labels),
        others=given.others,
        flips=given.flips,
        seed=given.seed,
    )
    for name, cases in rows:
        shares = [[one.caught(answers) for one, answers in _answered(contenders, classifier, c)] for c in cases()]
        table.add_row(name, f"{len(shares)}", *(f"{share:.1%}" for share in np.mean(shares, axis=0)))
    console.print(table)
    found = restart(bundle, classifier, given.restarts, seed=given.seed)
    table = Table("the same classifier", "starts", "refused", "largest deviation, of what is allowed")
    for way, starts in sorted(found.starts.items()):
        table.add_row(way, f"{starts}", f"{found.refused[way]}", f"{found.largest[way]:.3f}")
    console.print(table)


def _contenders(
    chosen: Canaries, classifier: Classifier, graph: bytes, images: Float32Array, seed: int
) -> list[Contender]:
    generator = np.random.default_rng(seed)
    drawn = [images[generator.choice(len(images), COUNT, replace=False)] for _ in range(_DRAWS)]
    logits = classifier.logits(images)
    gap = np.diff(np.sort(logits, axis=1)[:, -2:], axis=1)[:, 0]
    before = images[:_BEFORE]
    return [
        Contender(f"{_BEFORE} images, 2 %", [Canaries.loose(before, classifier.logits(before))]),
        Contender(f"{COUNT} random", [answered_anew(classifier, graph, draw) for draw in drawn]),
        Contender(f"{COUNT} near the boundary", [answered_anew(classifier, graph, images[np.argsort(gap)[:COUNT]])]),
        Contender(f"the bundle's {len(chosen)}", [chosen]),
        Contender(f"{COUNT} of a remote one", [make_canaries(classifier, None, images, seed=seed)]),
    ]


def _answered(
    contenders: list[Contender], like: Classifier, case: Case
) -> list[tuple[Contender, list[Float32Array] | None]]:
    """What the changed classifier answers to each contender's images; None where it gives no numbers."""
    images = np.concatenate([draw.images for one in contenders for draw in one.draws])
    try:
        answers = logits_of(case.model, like, case.fed(images))
    except ClassifierError:
        return [(one, None) for one in contenders]
    if case.order is not None:
        answers = answers[:, case.order]
    sizes = np.cumsum([len(draw) for one in contenders for draw in one.draws])[:-1]
    parts = iter(np.split(answers, sizes))
    return [(one, [next(parts) for _ in one.draws]) for one in contenders]


if __name__ == "__main__":
    main()
