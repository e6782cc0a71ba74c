"""Path profiles: everything recorded while walking from images to the end points of their paths."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from detector.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

MAX_FORWARDS: Final = 10_000
"""Most classifier forwards one image may cost."""
MAX_BLUR_SIGMA: Final = 1000.0
"""Widest blur, pixels."""


class PathKind(StrEnum):
    """Where a path leads.

    PROTOTYPE: to a prototype of the predicted class. RUNNER_UP_PROTOTYPE: to one of the class with the second largest
    logit. BLUR: to the image's own blurred copy.
    """

    PROTOTYPE = "prototype"
    RUNNER_UP_PROTOTYPE = "runner_up_prototype"
    BLUR = "blur"


class View(StrEnum):
    """Another view of the image, asked once: what it shows is the same, so a natural image keeps its answer.

    MIRROR: left and right exchanged. SHIFT: moved down and right by a 32nd of its size, at least one pixel, its edge
    repeated.
    """

    MIRROR = "mirror"
    SHIFT = "shift"


@dataclass(frozen=True)
class PathTarget:
    """One path of the plan: its kind, and which of a class's prototypes it leads to (0 for a blur).

    Raises:
        CalibrationError: `index` is negative.
    """

    kind: PathKind
    index: int = 0

    def __post_init__(self) -> None:
        if self.index < 0:
            raise CalibrationError(f"a path's index must not be negative, not {self.index}")

    @property
    def name(self) -> str:
        """The path's name everywhere: ``prototype[0]``, ``runner_up_prototype[0]``, ``blur``."""
        return self.kind.value if self.kind is PathKind.BLUR else f"{self.kind.value}[{self.index}]"


@dataclass(frozen=True)
class PathPlan:
    """Which paths are walked, and where on them the classifier is asked.

    Args:
        targets: The paths, in profile order.
        alphas: Inner grid points, rising, in (0, 1]. The image itself (alpha 0) is shared by all paths and always
            asked once. A prototype's own answer (alpha 1) does not depend on the image and is kept in the bundle.
        blur_sigma: Standard deviation of the Gaussian blur, pixels of the classifier's input.
        tapped: Which of the paths are walked with an eye on the taps, as rising positions in `targets`. The image
            itself is tapped too, unless there is none.
        views: Other views of the image, each asked once.
        residuals: Whether the image's noise residuals are measured; see `detector.residuals`. No forward is needed.

    Raises:
        CalibrationError: No path, a grid that does not rise within (0, 1], a blur that is none or wider than
            `MAX_BLUR_SIGMA`, a tapped path that is none of `targets`, a view named twice, residuals neither
            true nor false, or more than `MAX_FORWARDS`.
    """

    targets: tuple[PathTarget, ...]
    alphas: tuple[float, ...]
    blur_sigma: float = 1.0
    tapped: tuple[int, ...] = ()
    views: tuple[View, ...] = ()
    residuals: bool = False

    def __post_init__(self) -> None:
        if not self.targets:
            raise CalibrationError("a path plan needs at least one path")
        grid = (0.0, *self.alphas)
        if not self.alphas or not all(a < b <= 1 for a, b in itertools.pairwise(grid)):
            raise CalibrationError(f"alphas must rise within (0, 1], not {self.alphas}")
        if not 0 < self.blur_sigma <= MAX_BLUR_SIGMA:
            raise CalibrationError(f"blur_sigma must be positive, at most {MAX_BLUR_SIGMA:g}, not {self.blur_sigma}")
        if list(self.tapped) != sorted(set(self.tapped) & set(range(len(self.targets)))):
            raise CalibrationError(f"tapped must name paths by rising positions in targets, not {self.tapped}")
        if len(set(self.views)) != len(self.views):
            raise CalibrationError(f"views must differ, not {self.views}")
        if not isinstance(self.residuals, bool):
            raise CalibrationError(f"residuals must be true or false, not {self.residuals!r}")
        if self.forwards_per_image > MAX_FORWARDS:
            raise CalibrationError(
                f"the paths cost {self.forwards_per_image} forwards per image, at most {MAX_FORWARDS} are accepted; "
                "walk fewer paths or ask at fewer alphas"
            )

    @property
    def grid(self) -> tuple[float, ...]:
        """All alphas of a profile: 0, then the inner ones."""
        return (0.0, *self.alphas)

    @property
    def forwards_per_image(self) -> int:
        """Classifier forwards one image costs: itself once, every inner point of every path, and every view."""
        return 1 + len(self.targets) * len(self.alphas) + len(self.views)

    @property
    def tapped_points(self) -> tuple[str, ...]:
        """The points at which taps are read, in order: ``image``, then ``path:alpha`` along each tapped path."""
        inner = (f"{self.targets[at].name}:{alpha:.4g}" for at in self.tapped for alpha in self.alphas)
        return ("image", *inner) if self.tapped else ()

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready mapping that `from_json` reads back."""
        return {
            "targets": [{"kind": t.kind.value, "index": t.index} for t in self.targets],
            "alphas": list(self.alphas),
            "blur_sigma": self.blur_sigma,
            "tapped": list(self.tapped),
            "views": [view.value for view in self.views],
            "residuals": self.residuals,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> PathPlan:
        """Read what `to_json` wrote.

        Raises:
            CalibrationError: A field is missing or out of range.
        """
        try:
            return cls(
                targets=tuple(PathTarget(PathKind(t["kind"]), int(t["index"])) for t in fields["targets"]),
                alphas=tuple(float(a) for a in fields["alphas"]),
                blur_sigma=float(fields["blur_sigma"]),
                tapped=tuple(int(at) for at in fields["tapped"]),
                views=tuple(View(view) for view in fields["views"]),
                residuals=fields["residuals"],
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CalibrationError(f"path plan: unreadable field: {error!r}") from error


@dataclass(frozen=True)
class PathProfile:
    """The logits of a batch of images along their paths, and what follows from them.

    Args:
        plan: The paths and the grid.
        logits: float32 (N, paths, grid, classes); grid point 0 is the image itself, the same on every path.
        taps: float32 (N, tapped points, numbers): the taps, at `plan.tapped_points`; None where nothing is tapped.
        views: float32 (N, views, classes): logits of `plan.views`; None where there are none.
        residuals: float32 (N, numbers), statistics of noise residuals; None where they are not measured.
    """

    plan: PathPlan
    logits: Float32Array
    taps: Float32Array | None = None
    views: Float32Array | None = None
    residuals: Float32Array | None = None

    @property
    def image_logits(self) -> Float32Array:
        """float32 (N, classes): the classifier's answer on the images themselves."""
        return self.logits[:, 0, 0]

    def take(self, rows: slice) -> PathProfile:
        """The profile of some of the images."""
        beside = (None if part is None else part[rows] for part in (self.taps, self.views, self.residuals))
        return PathProfile(self.plan, self.logits[rows], *beside)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """int64 (N,): the predicted class."""
        return self.image_logits.argmax(axis=1)

    @cached_property
    def runner_up(self) -> NDArray[np.int64]:
        """int64 (N,): the class with the second largest logit."""
        return runner_up_classes(self.image_logits)

    @cached_property
    def losses(self) -> Float32Array:
        """float32 (N, paths, grid): cross-entropy of the predicted class, nats, >= 0."""
        return path_losses(self.logits, self.predicted)

    @cached_property
    def margins(self) -> Float32Array:
        """float32 (N, paths, grid): the predicted class's logit minus the largest other logit."""
        return path_margins(self.logits, self.predicted)


_Real = TypeVar("_Real", np.float32, np.float64)


def runner_up_classes(logits: Float32Array) -> NDArray[np.int64]:
    """int64 (N,): the class with the second largest of `logits` (N, classes); ties go to the lower index."""
    masked = logits.copy()
    np.put_along_axis(masked, np.argmax(logits, axis=1)[:, None], -np.inf, axis=1)
    return np.argmax(masked, axis=1)


def path_losses(logits: NDArray[_Real], classes: NDArray[np.int64]) -> NDArray[_Real]:
    """Cross-entropy of one class per image along its paths.

    Args:
        logits: float32 or float64 (N, ..., classes), such as (N, paths, grid, classes).
        classes: int64 (N,), the class per image.

    Returns:
        (N, ...), of the same dtype, nats, >= 0.
    """
    top = logits.max(axis=-1, keepdims=True)
    log_total = np.log(np.exp(logits - top).sum(axis=-1)) + top[..., 0]
    return np.maximum(log_total - logits_of(logits, classes), 0)


def path_margins(logits: NDArray[_Real], classes: NDArray[np.int64]) -> NDArray[_Real]:
    """One class's logit minus the largest other logit, shapes as in `path_losses`; any sign."""
    others = logits.copy()
    np.put_along_axis(others, _aligned(classes, logits), -np.inf, axis=-1)
    return logits_of(logits, classes) - others.max(axis=-1)


def logits_of(logits: NDArray[_Real], classes: NDArray[np.int64]) -> NDArray[_Real]:
    """One class's logit per image along its paths, shapes as in `path_losses`."""
    return np.take_along_axis(logits, _aligned(classes, logits), axis=-1)[..., 0]


def _aligned(classes: NDArray[np.int64], logits: NDArray[_Real]) -> NDArray[np.int64]:
    return classes.reshape(-1, *(1,) * (logits.ndim - 1))
