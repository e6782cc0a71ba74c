"""From a classifier and held-out images to canaries: chosen to be sensitive, with answers and what rounding may do.

A candidate is worth as much as small changes of the classifier move its logits beyond what rounding moves them.
Rounding is measured by running the graph in several ways (`running`), changes are noise on one filter's weights each
(`changes`), and the choice sees to it that none is left out (`choice`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

import numpy as np

from detector.bundle.canaries import LOOSE, Canaries, centred, spread
from detector.canaries.changes import CHANGES, changed_filters
from detector.canaries.choice import farthest_apart, most_moved
from detector.canaries.pool import make_pool
from detector.canaries.running import SETUPS, answers_of, logits_of
from detector.errors import ClassifierError
from detector.progress import Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Classifier, Float32Array
    from detector.progress import Advance, Progress


class _Wanted(TypedDict):
    preferred: NDArray[np.bool_]
    least: int


COUNT: Final = 16
"""Canaries of a bundle; each costs the walk of an image at every start."""
SAFETY: Final = 64
"""What is allowed, in times of the largest rounding measured: processors of another kind round otherwise."""
_LEAST_ALLOWED: Final = 2e-5
"""Of the logits' spread, where hardly any rounding was seen: some hundred units in a float32's last place."""


def make_canaries(
    classifier: Classifier,
    model: bytes | None,
    images: Float32Array,
    *,
    seed: int,
    count: int = COUNT,
    progress: Progress | None = None,
) -> Canaries:
    """Choose canaries, half of them at least real images, and measure what rounding does to them.

    Args:
        classifier: Whose they are.
        model: Its graph, in one piece; None where it runs elsewhere. Nothing is known of such a one's processor, so
            canaries are chosen for answers far apart, and `LOOSE` of the logits' spread is allowed.
        images: float32 (N, channels, height, width), canonical, held-out, N >= 1; the first of them are candidates.
        seed: Of synthetic candidates and of changes.
        count: How many are wanted; there are no fewer unless there are fewer candidates.
        progress: Watches; None where nobody does.

    Raises:
        ClassifierError, UpstreamUnavailableError: The classifier can't be run.
    """
    pool = make_pool(images, seed=seed)
    wanted: _Wanted = {"preferred": pool.real, "least": (count + 1) // 2}
    if model is None:
        rows = farthest_apart(centred(classifier.logits(pool.images)), count, **wanted)
        return _asked(classifier, pool.images[rows])
    with (progress or Silence()).stage("Choosing canaries", len(SETUPS) + CHANGES) as advance:
        answers = answers_of(model, classifier, pool.images)
        advance(len(SETUPS))
        changed = changed_filters(model, seed=seed)
        moved = _movements(changed, answers[0], lambda other: logits_of(other, classifier, pool.images), advance)
    allowed = allowed_differences(answers)
    if len(moved):
        rows = most_moved(moved / allowed, count, **wanted)
    else:
        rows = farthest_apart(centred(answers[0]), count, **wanted)
    return Canaries(pool.images[rows], answers[0][rows], allowed[rows])


def answered_anew(classifier: Classifier, model: bytes | None, images: Float32Array) -> Canaries:
    """The same inputs as canaries of another classifier; arguments and errors as for `make_canaries`."""
    if model is None:
        return _asked(classifier, images)
    answers = answers_of(model, classifier, images)
    return Canaries(images, answers[0], allowed_differences(answers))


def allowed_differences(answers: Sequence[Float32Array]) -> Float32Array:
    """What may be rounding, from the same classifier's answers to the same inputs under several setups.

    An input is allowed `SAFETY` times its own largest difference from the first answers, or the median of all inputs'
    where that is more: that little was seen of one is luck.

    Args:
        answers: Of each setup, float32 (N, classes).

    Returns:
        float32 (N,), more than 0.
    """
    first = centred(answers[0])
    rounding = np.max([np.abs(centred(other) - first).max(axis=1) for other in answers], axis=0)
    allowed = SAFETY * np.maximum(rounding, np.median(rounding))
    return np.asarray(np.maximum(allowed, _LEAST_ALLOWED * spread(answers[0])), np.float32)


def _movements(
    changed: Iterable[bytes], answers: Float32Array, answering: Callable[[bytes], Float32Array], advance: Advance
) -> NDArray[Any]:
    """float64 (changes, N): how far each change that leaves finite answers moves each input's."""
    stored, rows = centred(answers), []
    for model in changed:
        advance(1)
        try:
            rows.append(np.abs(centred(answering(model)) - stored).max(axis=1))
        except ClassifierError:  # a little more overflows; it tells nothing of single candidates
            continue
    return np.asarray([row for row in rows if row.any()])


def _asked(classifier: Classifier, images: Float32Array) -> Canaries:
    """All at once, and one by one; of a classifier that answers these differently more is allowed."""
    answers = [classifier.logits(images), np.concatenate([classifier.logits(one[None]) for one in images])]
    loose = np.float32(LOOSE * spread(answers[0]))
    return Canaries(images, answers[0], np.maximum(allowed_differences(answers), loose))
