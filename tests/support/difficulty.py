"""Tables of scores of which everything is known: true difficulty, noise of runs, and what architectures add."""

from __future__ import annotations

from typing import Final

import numpy as np

from detector.research.difficulty.table import ScoreTable

NARROW: Final = "mlp-16-16"
WIDE: Final = "mlp-32-32"
CNN: Final = "cnn-8-8"
NAMES: Final = ("avg-loss", "avg-conf", "avg-ent", "last-conf", "countforget", "firstlearn")
NOISE: Final = (0.5, 0.5, 0.6, 0.4, 1.5, 1.0)
"""Between runs, where true difficulty has variance 1: a single run's reliability is 1 / (1 + noise^2)."""


def table(
    *,
    architectures: tuple[str, ...] = (NARROW, WIDE, CNN),
    runs: int = 8,
    examples: int = 400,
    sensitive: int = 60,
    offset: float = 4.0,
    seed: int = 0,
) -> ScoreTable:
    """All architectures agree on the truth, but for the first examples, which are harder for convolutional networks.

    Args:
        architectures: Names.
        runs: Of each.
        examples: There are.
        sensitive: Of them are harder for the convolutional ones.
        offset: By how much.
        seed: Of the draw.
    """
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=examples)
    values = np.empty((len(architectures), runs, len(NAMES), examples))
    for number, name in enumerate(architectures):
        own = truth + offset * (np.arange(examples) < sensitive) * name.startswith("cnn")
        for place, noise in enumerate(NOISE):
            values[number, :, place] = own + noise * rng.normal(size=(runs, examples))
    counts = [NAMES.index(name) for name in ("countforget", "firstlearn")]
    values[:, :, counts] = np.maximum(0, np.round(2 * values[:, :, counts]))
    return ScoreTable(architectures, NAMES, values)
