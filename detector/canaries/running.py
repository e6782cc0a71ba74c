"""A classifier's graph under several ways of running it: what differs between them is rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.classifiers.outputs import as_rows, class_output, filled, to_logits
from detector.classifiers.session import Optimisation, only_input, open_on_cpu
from detector.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.classifiers.base import Classifier, Float32Array

_NAME: Final = "classifier"


@dataclass(frozen=True)
class Setup:
    """A way of running a graph on a CPU.

    Args:
        optimisation: How far it is rewritten first.
        threads: Within one run.
        batch: Images that go together.
    """

    optimisation: Optimisation = Optimisation.ALL
    threads: int = 1
    batch: int = 32


USUAL: Final = Setup()
"""How a graph is served, but for threads and batches."""
SETUPS: Final = (
    USUAL,
    Setup(threads=2),
    Setup(batch=1),
    Setup(Optimisation.EXTENDED),
    Setup(Optimisation.BASIC, threads=2, batch=7),
    Setup(Optimisation.NONE),
)
"""Ways whose rounding differs."""


def logits_of(model: bytes, like: Classifier, images: Float32Array, setup: Setup = USUAL) -> Float32Array:
    """A graph's answers, float32 (N, classes).

    Args:
        model: An ONNX model, in one piece, of the same images and classes as `like`.
        like: Says how it wants its images and what it puts out.
        images: float32 (N, channels, height, width), canonical.
        setup: How to run it.

    Raises:
        ClassifierError: It can't be run so, or puts out something else, NaN and infinity included.
    """
    runtime = open_on_cpu(model, threads=setup.threads, optimisation=setup.optimisation)
    entry = only_input(runtime)
    fixed = entry.shape[0] if isinstance(entry.shape[0], int) and entry.shape[0] > 0 else None
    output = class_output([found.name for found in runtime.get_outputs()])

    def rows(some: Float32Array) -> Float32Array:
        batch = like.spec.encode(filled(some, fixed or 1))
        try:
            (found,) = runtime.run([output], {entry.name: batch})
        # ONNX Runtime's exceptions share no base class below Exception.
        except Exception as error:
            raise ClassifierError(f"{_NAME}: the graph failed: {str(error).splitlines()[0]}") from error
        return to_logits(as_rows(found, len(batch), _NAME)[: len(some)], like.output_kind)

    size = fixed or setup.batch
    return np.concatenate([rows(images[begin : begin + size]) for begin in range(0, len(images), size)])


def answers_of(
    model: bytes, like: Classifier, images: Float32Array, setups: Sequence[Setup] = SETUPS
) -> list[Float32Array]:
    """The same under several setups; one that the graph can't be run in is left out, but for the first.

    Raises:
        ClassifierError: It can't be run in the first.
    """
    found = [logits_of(model, like, images, setups[0])]
    for setup in setups[1:]:
        try:
            found.append(logits_of(model, like, images, setup))
        except ClassifierError:  # kernels of half precision and of integers exist for some rewritten graphs alone
            continue
    return found
