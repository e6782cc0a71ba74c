"""How often the same classifier is taken for another one, over many starts in many ways, for `benchmarks.canaries`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.canaries.running import Setup, logits_of
from detector.classifiers.session import Optimisation
from detector.detector import Detector
from detector.engine.choice import EngineChoice
from detector.errors import ClassifierMismatchError

if TYPE_CHECKING:
    from detector.bundle import Bundle
    from detector.classifiers.base import Classifier

_MOST_THREADS: Final = 4
_EVERY: Final = 10  # so often each engine is started, and else the bare graph
BARE: Final = "bare graph"


@dataclass
class Restarts:
    """What came of them.

    Attributes:
        refused: Per way of starting: how many were taken for another classifier.
        starts: Likewise, of how many.
        largest: Likewise, the largest deviation, where 1 is what is allowed.
    """

    refused: dict[str, int] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    largest: dict[str, float] = field(default_factory=dict)

    def add(self, way: str, deviation: float) -> None:
        """One more start."""
        self.starts[way] = self.starts.get(way, 0) + 1
        self.refused[way] = self.refused.get(way, 0) + (not deviation <= 1)
        self.largest[way] = max(self.largest.get(way, 0), deviation)


def restart(bundle: Bundle, like: Classifier, count: int, *, seed: int) -> Restarts:
    """Start the bundle's classifier so many times, each with a session of its own.

    Threads, batches and the rewriting of the graph are drawn; a tenth starts the fused engine and a tenth the reference
    engine, in the batches that these take.
    """
    generator = np.random.default_rng(seed)
    found = Restarts()
    engines = {0: EngineChoice.FUSED, _EVERY // 2: EngineChoice.REFERENCE}
    for turn in range(count):
        threads = int(generator.integers(1, _MOST_THREADS + 1))
        engine = engines.get(turn % _EVERY)
        if engine is not None:
            found.add(f"{engine.value} engine", _started(bundle, engine, threads))
        else:
            level = list(Optimisation)[generator.integers(len(Optimisation))]
            setup = Setup(level, threads, int(generator.integers(1, 65)))
            answers = logits_of(bundle.graph, like, bundle.canaries.images, setup)
            found.add(BARE, float(bundle.canaries.deviations(answers).max()))
    return found


def _started(bundle: Bundle, engine: EngineChoice, threads: int) -> float:
    try:
        return float(Detector(bundle, threads=threads, engine=engine).canary_deviations.max())
    except ClassifierMismatchError as error:
        return error.deviation
