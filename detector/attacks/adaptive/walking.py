"""The guard's walk and its features once more, in differentiable torch operations.

Which prototype a path leads to, and which class is the runner-up, is decided as `detector.paths` decides it; those
choices are constant between decision boundaries, so no gradient is lost by taking none through them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from detector.attacks.adaptive.hidden_paths import hidden_path_features
from detector.attacks.adaptive.twin import TwinClassifier
from detector.paths.straight import gaussian_blur, view_images
from detector.profiles import PathKind
from detector.residuals import KERNELS, LEAST_SHARE, LEVELS, SCALES, octaves, plane_weights
from detector.scoring.features import CHANNELS

if TYPE_CHECKING:
    from torch import Tensor

    from detector.bundle import Bundle
    from detector.profiles import PathPlan, PathTarget, View
    from detector.scoring.tap_statistics import TapStatistics

_LEAST_VARIANCE = 1e-12  # as in `twin`


@dataclass(frozen=True, eq=False)
class Walk:
    """A path profile with gradients.

    Args:
        plan: The paths and the grid.
        logits: float32 (N, paths, grid, classes), as in `PathProfile`.
        taps: float32 (N, tapped points, numbers); None where nothing is tapped.
        views: float32 (N, views, classes): logits of the plan's views, none where it has none.
        residuals: float32 (N, numbers): statistics of noise residuals, none where they are not measured.
        statistics: Of the taps, to read hidden paths by; None where these are not read.
    """

    plan: PathPlan
    logits: Tensor
    taps: Tensor | None
    views: Tensor
    residuals: Tensor
    statistics: TapStatistics | None = None

    @property
    def image_logits(self) -> Tensor:
        """float32 (N, classes): the answer on the images themselves."""
        return self.logits[:, 0, 0]

    @cached_property
    def predicted(self) -> Tensor:
        """int64 (N,): the predicted class."""
        return self.image_logits.detach().argmax(1)

    @cached_property
    def runner_up(self) -> Tensor:
        """int64 (N,): the class with the second largest logit."""
        return _runner_up(self.image_logits)

    @cached_property
    def channels(self) -> Tensor:
        """float32 (N, channels * points): the logit channels at all points, the features that are no taps."""
        inner = self.logits[:, :, 1:].flatten(1, 2)
        logits = torch.cat([self.logits[:, 0, :1], inner, self.views], dim=1)
        predicted = _along(self.predicted, logits)
        runner_up = _along(self.runner_up, logits)
        own = logits.gather(-1, predicted)[..., 0]
        losses = (logits.logsumexp(-1) - own).clamp_min(0)
        elevation = own - logits.mean(-1)
        variance = logits.var(-1, unbiased=False).clamp_min(_LEAST_VARIANCE)
        values = {
            "margin": own - logits.scatter(-1, predicted, -torch.inf).amax(-1),
            "loss": losses,
            "runner_up_margin": own - logits.gather(-1, runner_up)[..., 0],
            "elevation": elevation,
            "spread": variance.sqrt(),
            "log_evidence": losses + elevation,
        }
        return torch.cat([values[name] for name in CHANNELS], dim=1)

    @cached_property
    def features(self) -> Tensor:
        """float32 (N, features): as `detector.scoring.features.profile_features`."""
        if self.taps is None:
            return torch.cat([self.channels, self.residuals], dim=1)
        start = self.taps[:, :1]
        moved = (self.taps[:, 1:] - start).flatten(1)
        parts = [self.channels, start[:, 0], moved, self.residuals]
        if self.statistics is not None:
            hidden = hidden_path_features(self.taps, self.plan, self.statistics, self.predicted, self.runner_up)
            parts.append(hidden.to(moved))
        return torch.cat(parts, dim=1)


class Walker:
    """Walks as a bundle's guard does.

    Args:
        bundle: Its classifier, prototypes and plan.

    Raises:
        GradientsUnavailableError: The classifier can't be differentiated; says why.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.classifier = TwinClassifier(bundle)
        self.plan = bundle.manifest.plan
        self.statistics = bundle.parts.statistics
        self.prototypes = torch.from_numpy(np.array(bundle.parts.prototypes.images, np.float32))
        _, height, width = bundle.manifest.spec.shape
        self._rows, self._columns = (_blur_matrix(size, self.plan.blur_sigma) for size in (height, width))
        self._views = [_sources(view, height, width) for view in self.plan.views]
        self._alphas = torch.tensor(self.plan.alphas, dtype=torch.float32)[:, None, None, None]

    def walk(self, images: Tensor) -> Walk:
        """Walk every image's paths.

        Args:
            images: float32 (N, channels, height, width), canonical; all their points are held at once.
        """
        # The images and their views share a batch; where the paths lead depends on what the images are taken for.
        first = torch.cat([images, *(self._view(images, sources) for sources in self._views)])
        first_logits, first_taps = self.classifier.answers(first)
        logits, *views = torch.chunk(first_logits, 1 + len(self._views))
        targets = torch.stack([self._end_points(target, images, logits.detach()) for target in self.plan.targets], 1)
        points = (1 - self._alphas) * images[:, None, None] + self._alphas * targets[:, :, None]
        inner_logits, inner_taps = self.classifier.answers(points.flatten(0, 2))
        along = inner_logits.reshape(*points.shape[:3], -1)
        origin = logits[:, None, None].expand(-1, along.shape[1], 1, -1)
        return Walk(
            self.plan,
            torch.cat([origin, along], dim=2),
            self._tapped(first_taps[: len(images)], inner_taps, points.shape[:3]),
            torch.stack(views, 1) if views else logits[:, None][:, :0],
            residuals(images) if self.plan.residuals else logits[:, :0],
            self.statistics,
        )

    @staticmethod
    def _view(images: Tensor, sources: Tensor) -> Tensor:
        return images.flatten(2)[..., sources].reshape(images.shape)

    def _end_points(self, target: PathTarget, images: Tensor, logits: Tensor) -> Tensor:
        match target.kind:
            case PathKind.PROTOTYPE:
                return self.prototypes[logits.argmax(1), target.index]
            case PathKind.RUNNER_UP_PROTOTYPE:
                return self.prototypes[_runner_up(logits), target.index]
            case PathKind.BLUR:
                return self._rows @ images @ self._columns.T

    def _tapped(self, start: Tensor, inner: Tensor, shape: tuple[int, ...]) -> Tensor | None:
        if not self.plan.tapped:
            return None
        along = inner.reshape(*shape, inner.shape[1])[:, list(self.plan.tapped)].flatten(1, 2)
        return torch.cat([start[:, None], along], dim=1)


def residuals(images: Tensor) -> Tensor:
    """float32 (N, numbers): as `detector.residuals.residual_statistics`, with gradients."""
    weights = torch.from_numpy(plane_weights(images.shape[1])).to(images)
    kernels = torch.from_numpy(KERNELS).to(images)[:, None].repeat(len(weights), 1, 1, 1)
    planes = functional.conv2d(images * LEVELS, weights[:, :, None, None])
    shares = []
    for octave in range(octaves(*images.shape[2:])):
        planes = functional.avg_pool2d(planes, 2) if octave else planes
        padded = functional.pad(planes, (1, 1, 1, 1), mode="replicate")
        size = functional.conv2d(padded, kernels, groups=len(weights)).abs()
        shares.append(torch.stack([torch.exp(-size / scale).mean((2, 3)) for scale in SCALES], dim=-1).flatten(1))
    return -torch.log((torch.cat(shares, dim=1) + LEAST_SHARE) / (1 + LEAST_SHARE))


def _blur_matrix(size: int, sigma: float) -> Tensor:
    """The blur along one axis, (size, size): what it makes of the columns of the identity, one pixel wide each."""
    return torch.from_numpy(gaussian_blur(np.eye(size, dtype=np.float32)[:, :, None], sigma)[:, :, 0].T.copy())


def _sources(view: View, height: int, width: int) -> Tensor:
    """int64 (height * width,): where each pixel of a view comes from, which a picture of the positions shows."""
    positions = np.arange(height * width, dtype=np.float32).reshape(1, 1, height, width)
    return torch.from_numpy(view_images(positions, view).ravel().astype(np.int64))


def _runner_up(logits: Tensor) -> Tensor:
    return logits.detach().scatter(1, logits.detach().argmax(1)[:, None], -torch.inf).argmax(1)


def _along(classes: Tensor, logits: Tensor) -> Tensor:
    """One class per image as an index into `logits` (N, points, classes)."""
    return classes[:, None, None].expand(-1, logits.shape[1], 1)
