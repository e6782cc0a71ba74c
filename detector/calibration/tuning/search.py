"""The search: prototypes, then alphas, then smoothness, then thresholds, then whether a second stage would help.

Each is decided with those before it as they were decided. All is measured on images that fit the scorer; those that
calibrate the p-values, and those that test, have no part in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.calibration.options import squared_steps
from detector.calibration.tuning.decisions import Subject, Tried, TuningDecision, decide
from detector.calibration.tuning.evidence import gather, gather_all, sources
from detector.calibration.tuning.folds import left_out_quality
from detector.calibration.tuning.grids import Grid, dense_grid, greedy_grids, spaced_grids
from detector.calibration.tuning.options import Knob, TuningOptions
from detector.calibration.tuning.quality import Quality
from detector.calibration.tuning.second_stage import decide_second_stage
from detector.calibration.tuning.thresholds import cross_fitted, decide_prior_strength
from detector.errors import CalibrationError

if TYPE_CHECKING:
    from detector.calibration.measuring import Measurements
    from detector.calibration.options import CalibrationOptions
    from detector.calibration.tuning.evidence import Evidence, Source
    from detector.calibration.tuning.thresholds import CrossFitted
    from detector.profiles import PathPlan
    from detector.shards.stages import Arrays

_LEFT_OUT = "mean AUROC of attacks, each one's kin left out of training"
_BLENDED = "mean AUROC of blends, which no scorer is fitted on"


@dataclass(frozen=True, eq=False)
class Tuning:
    """What was decided.

    Args:
        options: Those of the calibration, with what was chosen in its place and nothing left to choose.
        measured: The same measurements under these options, but for thresholds, which are not measured with.
        decisions: In their order.
        missing: What could not be decided, and why; a sentence each.
    """

    options: CalibrationOptions
    measured: Measurements
    decisions: tuple[TuningDecision, ...]
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For a manifest's provenance."""
        return {"decisions": [one.to_json() for one in self.decisions], "missing": list(self.missing)}


def tune(measured: Measurements) -> Tuning:
    """Choose what the options leave to tuning.

    Finished parts are kept in the measurements' store, so a search that was interrupted goes on.

    Args:
        measured: Under options that say how to tune.

    Raises:
        CalibrationError: Nothing fits the budget, no image crossed the border, or there are too few images.
    """
    return _Search(measured).run()


class _Search:
    """One search under way."""

    def __init__(self, measured: Measurements) -> None:
        assert measured.options.tuning is not None
        self._tuning: TuningOptions = measured.options.tuning
        self._measured, self._progress = measured, measured.progress
        # Hidden paths go from point to point of a grid, so no grid's are those of another: they join what is chosen.
        self._options = replace(measured.options, tuning=None, hidden_paths=False)
        self._decisions: list[TuningDecision] = []
        self._missing: list[str] = []
        self._check_budget()

    def run(self) -> Tuning:
        if not self._attacks:
            raise CalibrationError("tuning: no attack moved any image, so nothing can be chosen by detecting them")
        if not self._measured.supervised:
            self._missing.append(
                "the scorer learns from no attack, so paths were chosen by images blended with others until the answer "
                "turned"
            )
        self._choose_prototypes()
        self._choose_alphas()
        self._choose_smoothness()
        self._options = replace(self._options, hidden_paths=self._measured.options.hidden_paths)
        final = self._measured.under(self._options)
        scored = cross_fitted(gather_all(final, self._attacks))
        decision, strength = decide_prior_strength(final, scored, self._tuning.prior_strengths)
        self._note(decision)
        self._options = replace(self._options, prior_strength=strength)
        self._try_second_stage(final, scored)
        for sentence in self._missing:
            self._progress.note(f"tuning: {sentence}")
        return Tuning(self._options, final, tuple(self._decisions), tuple(self._missing))

    def _check_budget(self) -> None:
        """Refuse a budget that not even the cheapest plan fits."""
        cheapest = min(
            self._plan(prototypes, runner_ups, grid).forwards_per_image
            for prototypes, runner_ups in self._counts
            for grid in self._least_grids
        )
        budget = self._tuning.budget
        if budget is not None and budget < cheapest:
            raise CalibrationError(
                f"--tune-budget {budget}: the cheapest guard that may be chosen costs {cheapest} forwards per image"
            )

    @cached_property
    def _attacks(self) -> dict[str, Source]:
        return sources(self._measured)

    @property
    def _standing(self) -> tuple[int, int]:
        """Prototypes per class and of the runner-up, without tuning."""
        return self._options.prototypes.per_class, self._options.runner_up_prototypes

    @cached_property
    def _counts(self) -> list[tuple[int, int]]:
        """Numbers of prototypes per class and of the runner-up that may be chosen."""
        prototypes, runner_ups = self._standing
        first = [prototypes] if Knob.PROTOTYPES in self._tuning.kept else [*self._tuning.prototypes, prototypes]
        second = [runner_ups] if Knob.RUNNER_UPS in self._tuning.kept else [*self._tuning.runner_ups, runner_ups]
        most = self._most_prototypes
        pairs = {(one, other) for one in first for other in second if other <= one <= max(most, prototypes)}
        return sorted(pairs)

    @property
    def _most_prototypes(self) -> int:
        """As many as can be had of each class: without gradients they are images that are predicted as it."""
        measured = self._measured
        if measured.inputs.gradients is not None:
            return max(self._tuning.prototypes)
        predicted = measured.predicted[measured.split.fit]
        return int(np.bincount(predicted, minlength=len(measured.inputs.labels)).min())

    @property
    def _keeps_grid(self) -> bool:
        return Knob.POINTS in self._tuning.kept

    @cached_property
    def _dense(self) -> tuple[float, ...]:
        """The grid that is walked."""
        standing = self._options.grid
        return standing if self._keeps_grid else dense_grid(self._tuning.points, standing)

    @cached_property
    def _grids(self) -> list[Grid]:
        """Grids that may be chosen, but for those that are grown."""
        standing = Grid("as without tuning", self._options.grid)
        if self._keeps_grid:
            return [standing]
        spaced = spaced_grids(self._tuning.points, self._dense)
        return [standing, *(grid for grid in spaced if grid.alphas != standing.alphas)]

    @property
    def _least_grids(self) -> list[tuple[float, ...]]:
        return [min((grid.alphas for grid in self._grids), key=len)]

    def _with(self, prototypes: int, runner_ups: int, alphas: tuple[float, ...]) -> CalibrationOptions:
        return replace(
            self._options,
            prototypes=replace(self._options.prototypes, per_class=prototypes),
            runner_up_prototypes=runner_ups,
            points=len(alphas),
            alphas=None if alphas == squared_steps(len(alphas)) else alphas,
        )

    def _plan(self, prototypes: int, runner_ups: int, alphas: tuple[float, ...]) -> PathPlan:
        classifier = self._measured.inputs.loaded.classifier
        return self._with(prototypes, runner_ups, alphas).plan(classifier.spec, taps=classifier.tap_count > 0)

    @cached_property
    def _walked(self) -> Measurements:
        """All paths that may be chosen, on the dense grid; tapped is each that would be the last of a plan."""
        most = max(one for one, _ in self._counts), max(other for _, other in self._counts)
        widest = self._plan(*most, self._dense)
        last = {plan.targets[at] for plan in (self._plan(*c, self._dense) for c in self._counts) for at in plan.tapped}
        tapped = tuple(at for at, target in enumerate(widest.targets) if target in last)
        return self._measured.under(self._with(*most, self._dense), replace(widest, tapped=tapped))

    @cached_property
    def _evidence(self) -> Evidence:
        return self._gathered(self._walked)

    def _gathered(self, measured: Measurements) -> Evidence:
        return gather(measured, self._attacks, benign=self._tuning.benign_images, attacked=self._tuning.attacked_images)

    @property
    def _images(self) -> str:
        """On which images paths are judged."""
        evidence = self._evidence
        attacked = sum(len(one.images) for one in evidence.attacked.values())
        return (
            f"{len(evidence.benign.images)} that fit the scorer, {attacked} of {len(evidence.attacked)} attacks on such"
        )

    def _over(self, forwards: int) -> str:
        budget = self._tuning.budget
        return f"beyond the budget of {budget} forwards" if budget is not None and forwards > budget else ""

    def _choose_prototypes(self) -> None:
        least, grid = self._least_grids[0], self._options.grid
        names = {counts: _counted(*counts) for counts in self._counts}
        plans = {counts: self._plan(*counts, grid) for counts in self._counts}
        tried = [
            # Whether it fits the budget is known once the grid is: it may where its cheapest grid does.
            Tried(
                names[counts],
                plan.forwards_per_image,
                quality,
                self._over(self._plan(*counts, least).forwards_per_image),
            )
            for (counts, plan), quality in zip(plans.items(), self._qualities(list(plans.values())), strict=True)
        ]
        kept = len(tried) == 1
        decision = self._decide(Subject.PROTOTYPES, tried, names[self._standing], kept=kept)
        chosen = next(counts for counts, name in names.items() if name == decision.chosen)
        self._options = self._with(*chosen, grid)

    def _choose_alphas(self) -> None:
        grids = list(self._grids)
        paths = [target.name for target in self._plan(*self._standing, self._dense).targets]
        if not self._keeps_grid:
            grown = greedy_grids(self._evidence, self._dense, paths, self._tuning.points)
            known = {grid.alphas for grid in grids}
            grids += [grid for grid in grown if grid.alphas not in known]
        plans = [self._plan(*self._standing, grid.alphas) for grid in grids]
        tried = [
            Tried(grid.name, plan.forwards_per_image, quality, self._over(plan.forwards_per_image))
            for grid, plan, quality in zip(grids, plans, self._qualities(plans), strict=True)
        ]
        decision = self._decide(Subject.ALPHAS, tried, grids[0].name, kept=self._keeps_grid)
        chosen = next(grid for grid in grids if grid.name == decision.chosen)
        self._options = self._with(*self._standing, chosen.alphas)

    def _choose_smoothness(self) -> None:
        standing = self._options.prototypes.smoothness
        if self._measured.inputs.gradients is None:
            self._missing.append(
                "smoothness of prototypes: without gradients they are real images, as smooth as they are"
            )
            return
        kept = Knob.SMOOTHNESS in self._tuning.kept
        weights = [standing] if kept else sorted({*self._tuning.smoothness, standing})
        made = {
            weight: replace(self._options, prototypes=replace(self._options.prototypes, smoothness=weight))
            for weight in weights
        }
        tried = []
        for weight, options in made.items():
            measured = self._measured.under(options)
            (quality,) = self._qualities([measured.plan], measured)
            tried.append(Tried(_weighed(weight), measured.plan.forwards_per_image, quality))
        decision = self._decide(Subject.SMOOTHNESS, tried, _weighed(standing), kept=kept)
        self._options = next(made[weight] for weight in weights if _weighed(weight) == decision.chosen)

    def _try_second_stage(self, final: Measurements, scored: CrossFitted) -> None:
        if self._measured.inputs.gradients is None:
            self._missing.append("a second stage was not tried: bypasses need gradients")
        elif self._tuning.undecided_images:
            found = decide_second_stage(
                final,
                scored,
                self._attacks,
                most=self._tuning.undecided_images,
                strength=self._options.prior_strength,
            )
            if isinstance(found, str):
                self._missing.append(found)
            else:
                self._note(found)

    def _qualities(self, plans: list[PathPlan], measured: Measurements | None = None) -> list[Quality]:
        """How well plans detect, whose every point was walked; by default, from the dense walk."""
        walked = measured or self._walked
        evidence = self._evidence if measured is None else self._gathered(measured)
        found = []
        with self._progress.stage("Trying paths", len(plans)) as advance:
            for plan in plans:
                found.append(self._quality(walked, evidence, plan))
                advance(1)
        return found

    def _quality(self, walked: Measurements, evidence: Evidence, plan: PathPlan) -> Quality:
        columns = evidence.columns(walked.names_of(plan))

        def compute() -> Arrays:
            quality = left_out_quality(evidence, columns)
            names = sorted(quality.parts)
            return {"influence": quality.influence, "parts": np.array([quality.parts[name] for name in names])}

        arrays, _ = walked.store.run(
            "tuning trial",
            compute,
            **walked.walked_json,
            tried=plan.to_json(),
            attacks=[walked.attack_json(name) for name in sorted(evidence.attacked)],
            supervised=evidence.supervised,
            benign=len(evidence.benign.images),
            corrupted=len(evidence.corrupted.images),
            attacked=self._tuning.attacked_images,
        )
        parts = dict(zip(sorted(evidence.attacked), arrays["parts"].tolist(), strict=True))
        return Quality(float(np.mean(arrays["parts"])), arrays["influence"], parts)

    def _decide(self, subject: Subject, tried: list[Tried], standing: str, *, kept: bool) -> TuningDecision:
        measure = _LEFT_OUT if self._measured.supervised else _BLENDED
        decision = decide(subject, tried, standing=standing, measure=measure, images=self._images, kept=kept)
        self._note(decision)
        return decision

    def _note(self, decision: TuningDecision) -> None:
        self._decisions.append(decision)
        self._progress.note(f"tuning: {decision.subject.value}: {decision.chosen}; {decision.why}")


def _counted(prototypes: int, runner_ups: int) -> str:
    return f"{prototypes} of the class, {runner_ups or 'none'} of the runner-up"


def _weighed(weight: float) -> str:
    return "rough" if weight == 0 else f"smoothness weighs {weight:g}"
