"""What the studies of pairs are made of: which images pair, attacked ones, prototypes, and the curves between them.

Everything that takes long is kept by the workplace, so that studies share it and go on after an interruption.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.attacks.running import PreparedAttack
from detector.attacks.target import AttackTarget
from detector.attacks.threat_models import targeted_pgd
from detector.calibration.attacking import Victims, budgets_job
from detector.calibration.walking import classify_job
from detector.errors import AnalysisError, GradientsUnavailableError
from detector.images import to_canonical, to_pixels
from detector.paths.curves import LossCurves, even_alphas
from detector.paths.pairing import Pairs, class_pairs, evenly, of_another_class
from detector.profiles import path_losses
from detector.prototypes.options import SynthesisOptions
from detector.prototypes.sharding import synthesis_job
from detector.research.connectivity.walks import Pulled, bounded_job, curve_job, pull_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.calibration.inputs import CalibrationInputs
    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier
    from detector.research.connectivity.options import ConnectivityOptions
    from detector.research.studies import Workplace

PGD_LEVELS: Final = 8
"""Of the bounded attack, in 255ths, doubled until it moves half of a few images."""


@dataclass(frozen=True, eq=False)
class Moved:
    """Attacked images, one for each pair.

    Args:
        name: Of the attack.
        images: float32 (P, C, H, W), canonical.
        rows: int64, the pairs whose image the classifier takes for the wanted class.
    """

    name: str
    images: Float32Array
    rows: NDArray[np.int64]


class PairMaterial:
    """Pairs of images of one class, classified correctly, and for each the image of another class that is attacked.

    Args:
        workplace: With a classifier and images. Without labels the classifier's own answers stand for them.
        options: How many, and how.

    Attributes:
        missing: What could not be had, a sentence each.

    Raises:
        AnalysisError: There is no classifier, or no class has two images that are classified correctly.
    """

    def __init__(self, workplace: Workplace, options: ConnectivityOptions) -> None:
        if workplace.inputs is None:
            raise AnalysisError("pairs of images need a classifier and images: pass --classifier and --images")
        self.inputs: CalibrationInputs = workplace.inputs
        self.workplace, self.options = workplace, options
        self.missing: list[str] = []
        self._shape = self.inputs.loaded.classifier.spec.shape
        self.logits = workplace.done("answers", lambda: classify_job(self.inputs.images.pixels))["logits"]
        self.predicted = np.argmax(self.logits, axis=1)
        truth = self.inputs.images.labels
        if truth is None:
            self.missing.append("the images have no labels: what the classifier says of them stands for their class")
        self.labels = self.predicted if truth is None else truth
        self.right = np.flatnonzero(self.predicted == self.labels)
        found = class_pairs(self.labels[self.right], options.seed, same=True)
        pairs = self.right[evenly(found, self.labels[self.right], options.pairs)]
        if not len(pairs):
            raise AnalysisError("no class has two images that are classified correctly, so there is no pair of one")
        self.first, self.second = pairs[:, 0], pairs[:, 1]
        self.classes = self.labels[self.first]
        self.others = self._others()
        self._say_left_out()

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.classes)

    @property
    def gradients(self) -> TorchClassifier:
        """Where they come from.

        Raises:
            GradientsUnavailableError: There are none.
        """
        if self.inputs.gradients is None:
            raise GradientsUnavailableError("the classifier has no gradients: pass --gradients")
        return self.inputs.gradients

    def images(self, rows: NDArray[np.int64]) -> Float32Array:
        """Canonical images, made when they are needed."""
        return to_canonical(self.inputs.images.pixels[rows], self._shape)

    @property
    def depends(self) -> dict[str, Any]:
        """What decides which images pair, JSON values."""
        return {"pairs": self.options.pairs, "seed": self.options.seed}

    def _others(self) -> NDArray[np.int64]:
        """int64 (P,): for each pair an image of another class, classified correctly, or -1."""
        found = of_another_class(self.classes, self.labels[self.right], self.options.seed)
        return np.where(found < 0, -1, self.right[found])

    def _say_left_out(self) -> None:
        names = [name for label, name in enumerate(self.inputs.labels) if label not in set(self.classes.tolist())]
        if names:
            shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")  # noqa: PLR2004
            self.missing.append(f"left out, with fewer than two images classified correctly or no room: {shown}")

    @cached_property
    def own_losses(self) -> Float32Array:
        """float32 (P,): the loss of its class at each pair's first image, nats."""
        return path_losses(self.logits[self.first, None], self.classes)[:, 0]

    @cached_property
    def paper(self) -> Moved:
        """The paper's attack: the other image is moved to the class, until its loss there is below the first's.

        Raises:
            GradientsUnavailableError: There are none.
            AnalysisError: No pair has an image of another class.
        """
        _ = self.gradients
        there = self._there()
        # Those with the least loss to reach take the most steps: they are attacked together, lest all wait for some.
        there = there[np.argsort(self.own_losses[there], kind="stable")]

        def part(rows: slice) -> Pulled:
            chosen = there[rows]
            return Pulled(self.images(self.others[chosen]), self.classes[chosen], self.own_losses[chosen])

        steps = self.options.attack_steps
        arrays = self.workplace.done(
            "paper attack", lambda: pull_job(len(there), steps, part), steps=steps, **self.depends
        )
        return self._moved("the paper's attack", there, arrays["images"], arrays["predicted"])

    @cached_property
    def rounded(self) -> Moved:
        """The same, rounded to the 256 levels that a service sees."""
        there = self.paper.rows
        if not len(there):
            return replace(self.paper, name=f"{self.paper.name}, rounded")
        images = to_canonical(to_pixels(self.paper.images[there]), self._shape)
        predicted = np.argmax(self.inputs.loaded.classifier.logits(images), axis=1)
        return self._moved(f"{self.paper.name}, rounded", there, images, predicted)

    @cached_property
    def pgd(self) -> Moved:
        """Targeted PGD within a bound, rounded: it goes for the least loss, so it is of high confidence.

        Raises:
            GradientsUnavailableError, MissingExtraError, AnalysisError: As for `paper`, or no library has it.
        """
        gradients, there = self.gradients, self._there()
        target = AttackTarget(gradients, self.images(self.others[there]), self.labels[self.others[there]])
        model = targeted_pgd(PGD_LEVELS)
        budget = self.workplace.done(
            "bounded budget",
            lambda: budgets_job([model], target, seed=self.options.seed),
            model=asdict(model),
            **self.depends,
        )["budgets"]
        strong = targeted_pgd(255 * float(budget[0]))

        def part(rows: slice) -> Victims:
            return Victims(target.images[rows], target.labels[rows], self.classes[there[rows]], rows.start)

        arrays = self.workplace.done(
            "bounded attack",
            lambda: bounded_job(PreparedAttack(strong, self.options.seed), len(there), part),
            model=asdict(strong),
            **self.depends,
        )
        return self._moved(strong.name, there, arrays["images"], arrays["predicted"])

    def prototypes(self, *, smooth: bool) -> Float32Array:
        """Synthetic inputs, float32 (classes, `options.prototypes`, C, H, W), by feature visualisation.

        They start from faint noise on grey, and are optimised no further than the authors' own.

        Args:
            smooth: Whether they are, or rough.

        Raises:
            GradientsUnavailableError: There are none.
        """
        options = SynthesisOptions(
            per_class=self.options.prototypes,
            learning_rate=self.options.prototype_rate,
            target_loss=self.options.prototype_loss,
            smoothness=self.options.smoothness if smooth else 0.0,
            steps=self.options.prototype_steps,
            seed=self.options.seed + smooth,
        )
        gradients = self.gradients
        arrays = self.workplace.done(
            f"{'smooth' if smooth else 'rough'} prototypes",
            lambda: synthesis_job(gradients, options),
            options=asdict(options),
            **self.depends,
        )
        return arrays["images"].reshape(len(self.inputs.labels), options.per_class, *self._shape)

    def curves(self, title: str, pairs: Callable[[slice], Pairs], count: int, **depends: Any) -> LossCurves:
        """The loss along straight paths, kept.

        Args:
            title: Names the stage, and tells people what is walked.
            pairs: Gives those of a slice of rows.
            count: Of paths.
            depends: What decides their ends beyond `depends`, JSON values.
        """
        points = self.options.points
        if not count:
            return LossCurves(np.array(even_alphas(points)), np.empty((0, points), np.float32))
        arrays = self.workplace.done(
            f"curves {title}",
            lambda: curve_job(title, count, points, pairs),
            points=points,
            **self.depends,
            **depends,
        )
        return LossCurves(np.array(even_alphas(points)), arrays["losses"])

    def between(
        self, first: NDArray[np.int64], second: NDArray[np.int64], classes: NDArray[np.int64]
    ) -> Callable[[slice], Pairs]:
        """Gives pairs of images, by their rows, for `curves`."""

        def pairs(rows: slice) -> Pairs:
            return Pairs(self.images(first[rows]), self.images(second[rows]), classes[rows])

        return pairs

    def _there(self) -> NDArray[np.int64]:
        """Pairs that have an image of another class."""
        there = np.flatnonzero(self.others >= 0)
        if not len(there):
            raise AnalysisError("no image of another class is classified correctly, so there is none to attack")
        return there

    def _moved(self, name: str, there: NDArray[np.int64], images: Float32Array, predicted: NDArray[np.int64]) -> Moved:
        everywhere = np.zeros((len(self), *self._shape), np.float32)
        everywhere[there] = images
        return Moved(name, everywhere, np.sort(there[predicted == self.classes[there]]))
