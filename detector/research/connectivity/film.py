"""Films of paths: what a classifier sees on the straight way between two inputs, and on the way around its barrier.

The bypass answers a question about one point: which pixels must change for the mixture of two inputs to stay in their
class? What is added there, B' - B, fades to nothing towards both ends, so a film of the path shows how little it takes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from detector.attacks.unconstrained import towards
from detector.errors import AnalysisError, GradientsUnavailableError
from detector.paths.bypass import BypassOptions
from detector.paths.chains import ChainOptions
from detector.paths.curves import loss_curves, point_at
from detector.paths.pairing import Pairs
from detector.profiles import path_losses
from detector.reporting.parts import Section, paragraph
from detector.research.connectivity.choosing import correct_images, real_pairs
from detector.research.connectivity.connecting import chains_of, connect_job
from detector.research.connectivity.film_page import Film, Reel, film_page, summary_table
from detector.research.studies import Study

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.calibration.inputs import CalibrationInputs
    from detector.classifiers.base import Classifier, Float32Array
    from detector.paths.chains import Chains
    from detector.research.studies import Workplace

NAME: Final = "film"
FILE: Final = "film.html"
_POINTS = 51


@dataclass(frozen=True, kw_only=True)
class FilmOptions:
    """What is filmed.

    Args:
        pool: Real pairs among which those worth a film are looked for; a quarter as many attacked ones.
        half: Frames from an end to the barrier point; a film has twice as many and that point.
        epsilon: Loss below which an input is in the class, nats.
        attack_steps: As for `towards`, of the paper's own attack.
        bypass: How barrier points are moved; by default slowly, and held so near that pixels which make no difference
            stay as they are.
        seed: Of the pairs.

    Raises:
        AnalysisError: A value is out of range.
    """

    pool: int = 64
    half: int = 6
    epsilon: float = 0.1
    attack_steps: int = 256
    bypass: BypassOptions = BypassOptions(learning_rate=0.001, nearness=1000, stop_loss=0)  # noqa: RUF009 - frozen
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.pool, self.half, self.attack_steps) < 1 or self.half > _POINTS:
            raise AnalysisError(f"film: pool, half and attack_steps must be at least 1, half at most {_POINTS}")
        if not self.epsilon > self.bypass.stop_loss:
            raise AnalysisError("film: epsilon must be above the stop_loss of its bypasses")


def study(workplace: Workplace, options: FilmOptions) -> Study:
    """Choose pairs, bypass their barriers, and write the page.

    Raises:
        AnalysisError: There are no labels, or no two right images of a class.
        GradientsUnavailableError: The classifier has none.
    """
    inputs = workplace.inputs
    if inputs is None:
        raise AnalysisError("film: a classifier and its images are needed")
    if inputs.gradients is None:
        raise GradientsUnavailableError("barriers can't be bypassed for a film without gradients")
    chosen, missing = _chosen(workplace, inputs, options)
    classifier = inputs.loaded.classifier
    films = [
        filmed(classifier, title, pairs, chains, row, options=options) for title, (pairs, chains, row) in chosen.items()
    ]
    if films:
        workplace.folder.mkdir(parents=True, exist_ok=True)
        (workplace.folder / FILE).write_text(film_page(films, inputs.labels, options.epsilon), encoding="utf-8")
    note = paragraph(
        "What the classifier sees on the way, frame by frame, is on a page of its own: ",
        FILE,
        ". Here are its figures.",
    )
    return Study(
        NAME,
        figures={"options": asdict(options), "films": [film.figures() for film in films]},
        arrays={
            f"{name}/{number}": array for number, film in enumerate(films) for name, array in film.arrays().items()
        },
        sections=(Section.of("film", "Films of paths", note, summary_table(films, inputs.labels)),),
        missing=tuple(missing),
    )


def _chosen(
    workplace: Workplace, inputs: CalibrationInputs, options: FilmOptions
) -> tuple[dict[str, tuple[Pairs, Chains, int]], list[str]]:
    """Which pairs are filmed, by what they are, each with where it was found; and what could not be."""
    chosen, missing = {}, []
    images, labels = correct_images(inputs)
    found = real_pairs(images, labels, seed=options.seed, most=options.pool)
    pairs = _highest_first(inputs, found, options.epsilon)
    if len(pairs):
        chains = _bypassed(workplace, pairs, "real", options)
        chosen["Two real images"] = (pairs, chains, 0)
    else:
        missing.append("no real pair has ends of low loss")
    attacked = _highest_first(inputs, _attacked(inputs, images, labels, options), options.epsilon)[:1]
    if len(attacked):
        joined = _bypassed(workplace, attacked, "attacked", options)
        chosen["A real image and an attacked one"] = (attacked, joined, 0)
    else:
        missing.append("no attack brought an image into the class of a real one")
    if len(pairs) > 1:
        moved = [_reel(chains, row).displacement for row in range(1, len(pairs))]  # the first has its film
        chosen["The longest way round"] = (pairs, chains, 1 + int(np.argmax(moved)))
    else:
        missing.append("no other real pair has ends of low loss and a barrier between them")
    return chosen, missing


def _highest_first(inputs: CalibrationInputs, pairs: Pairs, epsilon: float) -> Pairs:
    """Pairs of low ends, highest barriers first: those above epsilon, or the highest where none is."""
    curves = loss_curves(inputs.loaded.classifier, pairs.starts, pairs.ends, pairs.classes, points=_POINTS)
    rows = np.argsort(-curves.gaps, kind="stable")
    rows = rows[curves.ends[rows] < epsilon]
    return pairs[rows[: max(1, int((curves.heights[rows] >= epsilon).sum()))]]


def _bypassed(workplace: Workplace, pairs: Pairs, name: str, options: FilmOptions) -> Chains:
    """One bypass of every pair, whatever its barrier."""
    how = ChainOptions(epsilon=0, rounds=1, points=_POINTS, bypass=options.bypass)
    found = workplace.done(
        f"{NAME}-{name}",
        lambda: connect_job(pairs, how, title=f"Bypassing barriers of {name} pairs"),
        chains=asdict(how),
        pool=options.pool,
        epsilon=options.epsilon,
        attack_steps=options.attack_steps,
        seed=options.seed,
    )
    return chains_of(found)


def _attacked(
    inputs: CalibrationInputs, images: Float32Array, labels: NDArray[np.int64], options: FilmOptions
) -> Pairs:
    """Real images, each with one of another class that the paper's attack moved into its class; successes alone."""
    rng = np.random.default_rng(options.seed)
    starts = rng.permutation(len(images))[: -(-options.pool // 4)]
    others = [np.flatnonzero(labels != labels[row]) for row in starts]
    starts = starts[[bool(len(rows)) for rows in others]]
    victims = np.array([rng.choice(rows) for rows in others if len(rows)], np.int64)
    gradients = inputs.gradients
    if gradients is None or not len(starts):
        return Pairs(images[:0], images[:0], labels[:0])
    wanted = labels[starts]
    real = path_losses(gradients.logits(images[starts])[:, None], wanted)[:, 0]
    moved = towards(
        gradients,
        torch.tensor(images[victims]),
        torch.tensor(wanted),
        torch.tensor(np.minimum(real, options.epsilon / 2)),  # as likely as the real one, and low
        steps=options.attack_steps,
    ).numpy()
    taken = path_losses(inputs.loaded.classifier.logits(moved)[:, None], wanted)[:, 0] < options.epsilon
    low = taken & (real < options.epsilon)
    return Pairs(images[starts], moved, wanted)[low]


def _reel(chains: Chains, row: int) -> Reel:
    alpha = float(chains.straight.barrier_alphas[row])
    start, bypass, end = chains.waypoints[row]
    return Reel(start, point_at(start, end, alpha), bypass, end, alpha)


def filmed(classifier: Classifier, title: str, pairs: Pairs, chains: Chains, row: int, *, options: FilmOptions) -> Film:
    """Film one pair.

    Args:
        classifier: Who watches.
        title: What pair it is.
        pairs: Where it is found.
        chains: Of these, bypassed once each.
        row: Which.
        options: How.
    """
    reel, label = _reel(chains, row), int(pairs.classes[row])
    frames = np.concatenate(
        [np.linspace(0, reel.alpha, options.half + 1), np.linspace(reel.alpha, 1, options.half + 1)[1:]]
    )
    fine = np.union1d(np.linspace(0, 1, _POINTS), [reel.alpha])
    straight, around = reel.straight(frames), reel.around(frames)
    logits = np.stack([classifier.logits(straight), classifier.logits(around)])
    curves = np.stack([classifier.logits(reel.straight(fine)), classifier.logits(reel.around(fine))])
    return Film(
        title=title,
        label=label,
        epsilon=options.epsilon,
        reel=reel,
        alphas=frames,
        frames=np.stack([straight, around]),
        logits=logits,
        curve_alphas=fine,
        curves=path_losses(curves, np.array([label, label])),
        kept=sufficient_pixels(classifier, reel.barrier, reel.bypass, label, options.epsilon),
    )


def sufficient_pixels(
    classifier: Classifier, barrier: Float32Array, bypass: Float32Array, label: int, epsilon: float
) -> NDArray[np.bool_] | None:
    """Few pixels whose change brings a barrier point into its class.

    Pixels are taken in the order of how much they change, and their number is found by halving: one pixel fewer of that
    order would not do. Another choice of pixels might do with fewer.

    Args:
        classifier: Who decides.
        barrier: float32 (C, H, W), B.
        bypass: float32 (C, H, W), B'.
        label: The class.
        epsilon: A loss below this is in the class, nats.

    Returns:
        Bool (H, W), none where B is in the class already; None where B' is not in it.
    """
    change = np.abs(bypass - barrier).sum(axis=0)
    order = np.argsort(-change, axis=None, kind="stable")

    def kept(count: int) -> NDArray[np.bool_]:
        mask = np.zeros(change.size, bool)
        mask[order[:count]] = True
        return mask.reshape(change.shape)

    def suffices(count: int) -> bool:
        mixed = np.where(kept(count), bypass, barrier)
        return bool(path_losses(classifier.logits(mixed[None])[:, None], np.array([label]))[0, 0] < epsilon)

    few, many = -1, change.size
    if not suffices(many):
        return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if suffices(middle) else (middle, many)
    return kept(many)
