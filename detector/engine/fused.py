"""The fused engine: the whole guard as one graph, so that an image crosses into the runtime once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.classifiers.session import open_session
from detector.engine.base import Evidence
from detector.engine.batches import FixedBatches, batch_sizes
from detector.engine.fusing import names
from detector.errors import ClassifierError, FusionError
from detector.paths.straight import Barriers
from detector.profiles import PathProfile

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.bundle import Bundle
    from detector.classifiers.base import Float32Array

_POINTS_AT_ONCE: Final = {"CPU": 128, "CUDA": 2048}
"""Points of the walk that go through the classifier together: on a CPU few, to stay in the caches; on a GPU many."""
# Image logits stand in the profile too, and verdicts follow from p-values, by rates that a deployment may have set.
_UNREAD: Final = {names.LOGITS, names.VERDICT}


class FusedEngine:
    """A bundle's guard as one graph.

    Args:
        bundle: A verified bundle.
        threads: CPU threads within one run; None leaves the choice to ONNX Runtime.

    Raises:
        FusionError: The guard can't be written as one graph, or the graph not be run.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        from detector.engine.fusing.fuse import fuse  # brings the onnx package

        self._plan = bundle.manifest.plan
        try:
            session = open_session(fuse(bundle, profile=True), threads=threads)
        except ClassifierError as error:
            raise FusionError(str(error)) from error
        self.device = session.device
        offered = (entry.name for entry in session.runtime.get_outputs())
        self._outputs = [name for name in offered if name not in _UNREAD]
        self._images_at_once = max(1, _POINTS_AT_ONCE[session.device] // self._plan.forwards_per_image)
        self._graph: Callable[[Float32Array], list[Any]] = lambda images: session.runtime.run(
            self._outputs, {names.IMAGES: images}
        )
        if session.device == "CUDA":
            sizes = batch_sizes(self._images_at_once)
            self._images_at_once = sizes[-1]
            shape = bundle.manifest.spec.shape
            self._graph = FixedBatches(session.runtime, shape, sizes, outputs=self._outputs, device="cuda").run
        self.description = f"fused engine on {session.device} (ONNX Runtime)"

    def evidence(self, images: Float32Array) -> Evidence:
        """Walk and score canonical images; see `Engine`."""
        size = self._images_at_once
        runs = [self._run(images[begin : begin + size]) for begin in range(0, len(images), size)]
        found = runs[0] if len(runs) == 1 else {n: np.concatenate([run[n] for run in runs]) for n in self._outputs}
        profile = PathProfile(
            self._plan,
            found[names.PATH_LOGITS],
            found.get(names.TAPS),
            found.get(names.VIEW_LOGITS),
            found.get(names.RESIDUALS),
        )
        return Evidence(
            profile,
            found[names.SCORE],
            found[names.P_VALUE],
            Barriers(found[names.BARRIER_HEIGHT], found[names.BARRIER_GAP]),
            found[names.STRATUM],
        )

    def _run(self, images: Float32Array) -> dict[str, Any]:
        try:
            outputs = self._graph(images)
        # ONNX Runtime's exceptions share no base class below Exception.
        except Exception as error:
            raise ClassifierError(f"the fused graph failed: {str(error).splitlines()[0]}") from error
        found = dict(zip(self._outputs, outputs, strict=True))
        if not math.isfinite(sum(found[names.SCORE].tolist())):  # of few images, so sooner than by array
            raise ClassifierError("the classifier put out NaN or infinite numbers")
        return found
