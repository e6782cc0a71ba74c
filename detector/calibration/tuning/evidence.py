"""What tuning looks at: profiles of images that fit the scorer, and of what attacks made of them; nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.calibration.attacking import AttackedImages
from detector.calibration.tuning.blending import Blend, blend_job
from detector.calibration.walking import Walkers
from detector.scoring.features import DOUBT_FEATURE
from detector.scoring.gaussian import MIN_IMAGES
from detector.scoring.one_class import fit_one_class
from detector.scoring.supervised import fit_supervised
from detector.shards.jobs import Stage, run_stages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from numpy.typing import NDArray

    from detector.calibration.measuring import Measurements
    from detector.classifiers.base import Float32Array
    from detector.scoring.fitted import FittedScorer


@dataclass(frozen=True, eq=False)
class Profiles:
    """Features of images, and which images they were made from.

    Args:
        features: float32 (n, features).
        images: int64 (n,), rows among all images given.
    """

    features: Float32Array
    images: NDArray[np.int64]

    def without(self, images: NDArray[np.int64]) -> Float32Array:
        """Features of those that were made from other images."""
        return self.features[~np.isin(self.images, images)]

    def of(self, images: NDArray[np.int64]) -> Profiles:
        """Those that were made from some images."""
        rows = np.isin(self.images, images)
        return Profiles(self.features[rows], self.images[rows])


@dataclass(frozen=True, eq=False)
class Source:
    """Images of one attack.

    Args:
        kin: What is left out of training together with it.
        moved: Its successes; their rows count among all images given.
    """

    kin: str
    moved: AttackedImages


@dataclass(frozen=True, eq=False)
class Evidence:
    """Profiles of some of the images that fit the scorer.

    Args:
        names: Of the features.
        benign: As they are.
        corrupted: Altered in everyday ways; may be empty.
        attacked: Successes of each attack, at least one.
        kins: What each attack is left out of training with.
        supervised: Whether the scorer learns from attacks.
        total: How many images were given in all.
        seed: Of what a fit draws.
    """

    names: tuple[str, ...]
    benign: Profiles
    corrupted: Profiles
    attacked: Mapping[str, Profiles]
    kins: Mapping[str, str]
    supervised: bool
    total: int
    seed: int

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each feature is."""
        return {name: at for at, name in enumerate(self.names)}

    @cached_property
    def all_columns(self) -> NDArray[np.int64]:
        """Every feature."""
        return np.arange(len(self.names))

    def columns(self, names: Iterable[str]) -> NDArray[np.int64]:
        """Where some features are, such as those of a plan whose every point was walked."""
        return np.array([self.places[name] for name in names], np.int64)

    def scorer(
        self, columns: NDArray[np.int64], *, held_out: NDArray[np.int64], without: Collection[str] = ()
    ) -> FittedScorer:
        """Fit the guard's kind of scorer on some features; the one-class scorer where too few attacks are left.

        Args:
            columns: Which; the scorer reads these alone.
            held_out: Images that have no part in the fit, neither as they are nor altered nor attacked.
            without: Kins of attacks that have none.

        Raises:
            CalibrationError: Too few images.
        """
        benign = self.benign.without(held_out)[:, columns]
        training = {
            name: one.without(held_out)[:, columns]
            for name, one in self.attacked.items()
            if self.kins[name] not in without
        }
        if not self.supervised or sum(map(len, training.values())) < MIN_IMAGES:
            return fit_one_class(benign)
        residuals = np.flatnonzero([self.names[at].startswith("residual[") for at in columns])
        return fit_supervised(
            benign,
            training,
            corrupted=self.corrupted.without(held_out)[:, columns],
            doubt=int(np.flatnonzero(columns == self.places[DOUBT_FEATURE])[0]),
            residuals=residuals if len(residuals) else None,
            seed=self.seed,
        )


def sources(measured: Measurements) -> dict[str, Source]:
    """The attacks that moved any image: those the scorer learns from, or blends where it learns from none."""
    rows = measured.sources
    if measured.supervised:
        found = {name: (model.kin.value, moved) for name, (model, moved) in measured.moved.items()}
    else:
        found = {kind.value: (kind.value, moved) for kind, moved in _blends(measured, rows).items()}
    return {
        name: Source(kin, AttackedImages(moved.images, rows[moved.rows]))
        for name, (kin, moved) in found.items()
        if len(moved.rows)
    }


def _blends(measured: Measurements, rows: NDArray[np.int64]) -> dict[Blend, AttackedImages]:
    if not len(rows):
        return {}
    options = measured.options
    images, labels = measured.images_at(rows), measured.predicted[rows]
    stages = [
        Stage(kind.value, partial(blend_job, kind, images, labels, seed=options.seed), {"images": len(rows)})
        for kind in Blend
    ]
    done = {one.number: one.arrays for one in run_stages(stages, measured.store, measured.runner, measured.progress)}
    return {kind: AttackedImages(done[at]["images"], done[at]["rows"]) for at, kind in enumerate(Blend)}


def gather(measured: Measurements, attacks: Mapping[str, Source], *, benign: int, attacked: int) -> Evidence:
    """Walk from some of the images that fit the scorer, and from what attacks made of them.

    Args:
        measured: Under the options whose paths are to be walked.
        attacks: Of `sources`.
        benign: Benign images, at most; as many are corrupted, where the scorer is shown corrupted ones.
        attacked: Images of each attack, at most.
    """
    options, inputs = measured.options, measured.inputs
    fit = measured.split.fit[:benign]
    pixels = inputs.images.pixels[fit]
    altered = fit if measured.supervised and options.corrupted_copies else fit[:0]
    some = {name: _first(one.moved, attacked) for name, one in attacks.items()}
    walks = [
        measured.walk("benign images, for tuning", len(fit), lambda rows: Walkers(pixels[rows]), {"count": len(fit)}),
        *(
            measured.walk(f"{name}, for tuning", len(moved.rows), _walkers(moved), _decides(measured, name, attacked))
            for name, moved in some.items()
        ),
    ]
    if len(altered):
        seed = options.seed

        def corrupted(rows: slice) -> Walkers:
            return Walkers(pixels[rows], corrupted=seed + rows.start)

        walks.append(measured.walk("corrupted images, for tuning", len(fit), corrupted, {"count": len(fit)}))
    found = measured.walked(walks)
    features = dict(zip(some, found[1:], strict=False))
    return _evidence(
        measured,
        attacks,
        benign=Profiles(found[0], fit),
        corrupted=Profiles(found[-1] if len(altered) else found[0][:0], altered),
        attacked={name: Profiles(features[name], moved.rows) for name, moved in some.items()},
    )


def gather_all(measured: Measurements, attacks: Mapping[str, Source]) -> Evidence:
    """The same of all the images that fit the scorer, which its calibration walks from in any case."""
    fit = measured.split.fit
    if measured.supervised:
        attacked = {name: Profiles(read, attacks[name].moved.rows) for name, (read, _) in measured.attacked.items()}
    else:
        attacked = dict(gather(measured, attacks, benign=len(fit), attacked=len(fit)).attacked)
    copies = len(measured.corrupted) // max(1, len(fit))
    return _evidence(
        measured,
        attacks,
        benign=Profiles(measured.benign[fit], fit),
        corrupted=Profiles(measured.corrupted, np.tile(fit, copies)),
        attacked=attacked,
    )


def _evidence(
    measured: Measurements,
    attacks: Mapping[str, Source],
    *,
    benign: Profiles,
    corrupted: Profiles,
    attacked: Mapping[str, Profiles],
) -> Evidence:
    return Evidence(
        names=measured.feature_names,
        benign=benign,
        corrupted=corrupted,
        attacked=attacked,
        kins={name: one.kin for name, one in attacks.items()},
        supervised=measured.supervised,
        total=len(measured.inputs.images.pixels),
        seed=measured.options.seed,
    )


def _first(moved: AttackedImages, most: int) -> AttackedImages:
    return AttackedImages(moved.images[:most], moved.rows[:most])


def _walkers(moved: AttackedImages) -> Callable[[slice], Walkers]:
    return lambda rows: Walkers(moved.images[rows])


def _decides(measured: Measurements, name: str, most: int) -> dict[str, Any]:
    return {**measured.attack_json(name), "most": most, "blended": not measured.supervised}
