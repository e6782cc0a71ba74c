"""Which family of paths connects real inputs of a class at the least cost, and whether more than two connect."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.errors import AnalysisError
from detector.metrics import realised_rate
from detector.paths.bypass import BypassOptions
from detector.paths.chains import ChainOptions
from detector.profiles import path_losses
from detector.research.connectivity.choosing import correct_images, groups_of_class, real_pairs
from detector.research.connectivity.connecting import chains_of, connect_job
from detector.research.connectivity.families import FitOptions, Groups, fit_job
from detector.research.connectivity.family_page import JoinedGroups, Tried, claims, curves_section, groups_section
from detector.research.connectivity.shapes import Bezier, Polyline, cone, flat_simplex, star, subdivision
from detector.research.studies import Study

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.paths.chains import Chains
    from detector.paths.pairing import Pairs
    from detector.research.connectivity.shapes import Shape
    from detector.research.studies import Workplace
    from detector.shards.stages import Arrays

NAME: Final = "families"
_SHARPNESS = 20.0  # 1/nats: a loss of 0.1 above another counts seven times as much
_MOST_BUDGETS = 8


@dataclass(frozen=True, kw_only=True)
class FamilyOptions:
    """What is compared.

    Args:
        pairs: Real pairs of one class, of which those that need joining and can be joined are joined.
        epsilon: As for `ChainOptions`.
        points: Of the grid on a curve.
        budgets: Gradients each pair may cost, rising; each a forward and a backward pass of one image.
        samples: Points of a curve at which each step of its fit asks.
        dimensions: Of the simplexes.
        groups: Groups of real inputs of one class, for each dimension.
        group_steps: Of the fit of a simplex.
        group_samples: Points of a simplex at which each of them asks.
        group_points: Points drawn in a simplex, where it is measured.
        seed: Of pairs, groups and draws.

    Raises:
        AnalysisError: A value is out of range.
    """

    pairs: int = 150
    epsilon: float = 0.1
    points: int = 51
    budgets: tuple[int, ...] = (4, 16, 64)
    samples: int = 4
    dimensions: tuple[int, ...] = (1, 2, 3)
    groups: int = 24
    group_steps: int = 32
    group_samples: int = 8
    group_points: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epsilon <= 0 or min(self.pairs, self.points, self.samples, self.groups, self.group_points) < 1:
            raise AnalysisError("families: epsilon, pairs, points, samples, groups, group_points must be above 0")
        if not 1 <= len(self.budgets) <= _MOST_BUDGETS or list(self.budgets) != sorted(set(self.budgets)):
            raise AnalysisError(f"families: budgets must be 1 to {_MOST_BUDGETS} rising numbers")
        if self.budgets[0] < self.samples:
            raise AnalysisError("families: budgets must allow one step, which takes `samples` gradients")


def study(workplace: Workplace, options: FamilyOptions) -> Study:
    """Join pairs by curves of every family at every budget, and groups by simplexes of every dimension.

    Raises:
        AnalysisError: There is nothing to join: no labels, no two right images of a class.
        GradientsUnavailableError: The classifier has none.
    """
    inputs = workplace.inputs
    if inputs is None:
        raise AnalysisError("families: a classifier and its images are needed")
    images, labels = correct_images(inputs)
    pairs = real_pairs(images, labels, seed=options.seed, most=options.pairs)
    only = ChainOptions(epsilon=options.epsilon, rounds=0, points=options.points)
    straight = _chains(workplace, pairs, only, "straight", options).straight
    low_ends, high = straight.ends < options.epsilon, straight.heights >= options.epsilon
    hard = pairs[low_ends & high]
    counts = {
        "pairs": len(pairs),
        "ends_too_high": int((~low_ends).sum()),
        "straight_connected": int((~high).sum()),
        "joined": len(hard),
    }
    missing = [] if len(hard) else ["families: no pair has low ends and a barrier between them, so none is joined"]
    tried = [one for budget in options.budgets if len(hard) for one in _curves(workplace, hard, budget, options)]
    low = path_losses(inputs.loaded.classifier.logits(images)[:, None], labels)[:, 0] < options.epsilon
    # An image of a higher loss can't be connected by anything.
    groups, none = _groups(workplace, images[low], labels[low], options)
    return Study(
        NAME,
        figures={
            "options": asdict(options),
            "pairs": counts,
            "curves": [one.figures() for one in tried],
            "groups": [one.figures() for one in groups],
        },
        arrays={f"heights/{one.family}/{one.budget}": one.heights for one in tried},
        sections=(curves_section(tried, counts, options.epsilon), groups_section(groups, options.epsilon)),
        claims=claims(tried, groups, options.epsilon),
        missing=(*missing, *none),
    )


def _curves(workplace: Workplace, pairs: Pairs, budget: int, options: FamilyOptions) -> list[Tried]:
    """Every family of curves with one budget."""
    rounds = [number for number in (1, 2) if budget >= 2**number - 1]  # points that as many rounds may move
    tried = [_bypassed(workplace, pairs, budget, number, options) for number in rounds]
    groups = Groups(np.stack([pairs.starts, pairs.ends], axis=1), pairs.classes)
    for shape in (Polyline(1), Polyline(3), Bezier()):
        for aim, sharpness in (("mean", 0.0), ("soft maximum", _SHARPNESS)):
            how = FitOptions(
                steps=budget // options.samples, samples=options.samples, sharpness=sharpness, seed=options.seed
            )
            name = f"{shape.name}, {aim}"
            found = _fitted(workplace, name, groups, (shape, how, options.points), options)
            heights = found["losses"].max(axis=1)
            connected = realised_rate(int((heights < options.epsilon).sum()), len(heights))
            tried.append(Tried(name, budget, heights, found["lengths"], how.gradients, options.points, connected))
    return tried


def _bypassed(workplace: Workplace, pairs: Pairs, budget: int, rounds: int, options: FamilyOptions) -> Tried:
    """The paper's way: each round moves one point of every segment that is too high."""
    steps = budget // (2**rounds - 1)
    how = ChainOptions(
        epsilon=options.epsilon,
        rounds=rounds,
        points=options.points,
        bypass=BypassOptions(steps=steps, stop_loss=0),  # every family takes all its steps
    )
    name = f"bypass, {rounds} round{'s' * (rounds > 1)}"
    chains = _chains(workplace, pairs, how, f"{rounds}-{budget}", options)
    split = np.diff(chains.segments, axis=1)  # float (P, rounds): segments that were bypassed
    asked = options.points + sum(2 * how.points_of(number + 1) * split[:, number] for number in range(rounds))
    connected = realised_rate(int(chains.connected(options.epsilon)[:, -1].sum()), len(pairs))
    return Tried(
        name,
        budget,
        chains.heights[:, -1],
        _lengths(chains, pairs),
        float(steps * split.sum(axis=1).mean()),
        float(np.mean(asked)),
        connected,
    )


def _chains(workplace: Workplace, pairs: Pairs, how: ChainOptions, name: str, options: FamilyOptions) -> Chains:
    job = workplace.done(
        f"{NAME}-chains-{name}",
        lambda: connect_job(pairs, how, title=f"Bypasses: {name}" if how.rounds else "Straight paths"),
        chains=asdict(how),
        pairs=options.pairs,
        seed=options.seed,
    )
    return chains_of(job)


def _fitted(
    workplace: Workplace, name: str, groups: Groups, shared: tuple[Shape, FitOptions, int], options: FamilyOptions
) -> Arrays:
    shape, how, points = shared
    return workplace.done(
        f"{NAME}-{name}-{how.gradients}",
        lambda: fit_job(f"Fitting: {name}, {how.gradients} gradients", groups, shape, how, points),
        fit=asdict(how),
        points=points,
        groups=len(groups),
        pairs=options.pairs,
        epsilon=options.epsilon,
        seed=options.seed,
    )


def _lengths(chains: Chains, pairs: Pairs) -> Float32Array:
    """float32 (P,): of the paths, in units of the straight ones."""
    walked = [np.linalg.norm(np.diff(one.reshape(len(one), -1), axis=0), axis=1).sum() for one in chains.waypoints]
    straight = np.linalg.norm((pairs.ends - pairs.starts).reshape(len(pairs), -1), axis=1)
    return (np.array(walked) / straight).astype(np.float32)


def _groups(
    workplace: Workplace, images: Float32Array, labels: NDArray[np.int64], options: FamilyOptions
) -> tuple[list[JoinedGroups], list[str]]:
    """Groups of right images of every dimension joined by every shape, and what could not be."""
    joined, missing = [], []
    for dimension in options.dimensions:
        rows = groups_of_class(labels, dimension + 1, seed=options.seed, most=options.groups)
        if not len(rows):
            missing.append(
                f"families: no class has {dimension + 1} right images of low loss, to be joined by a simplex"
            )
            continue
        groups = Groups(images[rows], labels[rows[:, 0]])
        for shape in (flat_simplex(dimension), star(dimension), cone(dimension), subdivision(dimension)):
            steps = options.group_steps if shape.free else 0
            how = FitOptions(steps=steps, samples=options.group_samples, sharpness=_SHARPNESS, seed=options.seed)
            name = f"{shape.name} of {shape.corners}"
            losses = _fitted(workplace, name, groups, (shape, how, options.group_points), options)["losses"]
            connected = realised_rate(int((losses.max(axis=1) < options.epsilon).sum()), len(losses))
            share = float((losses < options.epsilon).mean())
            joined.append(
                JoinedGroups(shape.name, dimension, shape.free, how.gradients, losses.max(axis=1), share, connected)
            )
    return joined, missing
