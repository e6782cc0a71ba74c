from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.bundle.canaries import LOOSE, Canaries, spread
from detector.canaries.making import COUNT, SAFETY, allowed_differences, answered_anew, make_canaries
from detector.canaries.pool import make_pool
from detector.canaries.running import SETUPS, Setup, answers_of, logits_of
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.session import Optimisation
from detector.errors import ClassifierError
from tests.support.bundles import calibration_images, digits_onnx
from tests.support.flips import HIGH_EXPONENT, LOW_EXPONENT, SIGN, random_flips, with_flipped_bit
from tests.support.formulas import FormulaClassifier
from tests.support.graphs import chain

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array
    from detector.embedded import EmbeddedDefault


@pytest.fixture(scope="module")
def classifier(digits: EmbeddedDefault) -> OnnxClassifier:
    return digits_onnx(digits)


@pytest.fixture(scope="module")
def model(digits: EmbeddedDefault) -> bytes:
    return digits.classifier_file.read_bytes()


@pytest.fixture(scope="module")
def images(digits: EmbeddedDefault) -> Float32Array:
    return calibration_images(digits)[0]


@pytest.fixture(scope="module")
def canaries(classifier: OnnxClassifier, model: bytes, images: Float32Array) -> Canaries:
    return make_canaries(classifier, model, images, seed=0)


def caught(sets: list[Canaries], like: OnnxClassifier, changed: list[bytes]) -> list[int]:
    """By how many changed classifiers each set's stored answers are not given."""
    images = np.concatenate([one.images for one in sets])
    edges = np.cumsum([len(one) for one in sets])[:-1]
    counts = np.zeros(len(sets), int)
    for model in changed:
        try:
            answers = np.split(logits_of(model, like, images), edges)
        except ClassifierError:  # no numbers
            counts += 1
        else:
            found = [one.deviations(given).max() > 1 for one, given in zip(sets, answers, strict=True)]
            counts += np.array(found)
    return counts.tolist()


def test_half_of_them_are_held_out_images_and_no_two_alike(canaries: Canaries, images: Float32Array) -> None:
    known = {one.tobytes() for one in images}
    assert len(canaries) == COUNT == len({one.tobytes() for one in canaries.images})
    assert COUNT / 2 <= sum(one.tobytes() in known for one in canaries.images) < COUNT


def test_the_choice_is_decided_by_the_seed(
    canaries: Canaries, classifier: OnnxClassifier, model: bytes, images: Float32Array
) -> None:
    same, other = (make_canaries(classifier, model, images, seed=seed) for seed in (0, 1))
    for name in ("images", "logits", "allowed"):
        np.testing.assert_array_equal(getattr(same, name), getattr(canaries, name))
    assert not np.array_equal(other.images, canaries.images)


def test_the_same_classifier_is_never_refused_however_it_is_run(
    canaries: Canaries, classifier: OnnxClassifier, model: bytes
) -> None:
    generator = np.random.default_rng(0)
    for level in Optimisation:
        for threads in (1, 2, 3):
            setup = Setup(level, threads, int(generator.integers(1, 20)))
            assert canaries.deviations(logits_of(model, classifier, canaries.images, setup)).max() < 0.25


def test_chosen_ones_catch_more_than_random_ones(
    canaries: Canaries, classifier: OnnxClassifier, model: bytes, images: Float32Array
) -> None:
    flips = random_flips(model, range(14, 18), 200, seed=5)
    rows = np.random.default_rng(3).permutation(len(images))[: 8 * COUNT].reshape(8, COUNT)
    draws = [answered_anew(classifier, model, images[draw]) for draw in rows]
    chosen, *random = caught([canaries, *draws], classifier, flips)
    assert chosen > np.mean(random) + np.std(random)
    assert 0.1 * len(flips) < chosen < len(flips)


@pytest.mark.parametrize("bit", [SIGN, HIGH_EXPONENT, LOW_EXPONENT])
def test_a_flipped_high_bit_of_a_large_weight_is_caught(
    canaries: Canaries, classifier: OnnxClassifier, model: bytes, bit: int
) -> None:
    assert caught([canaries], classifier, [with_flipped_bit(model, bit)]) == [1]


def test_answers_are_those_that_are_served(canaries: Canaries, classifier: OnnxClassifier) -> None:
    assert canaries.deviations(classifier.logits(canaries.images)).max() < 0.25


def test_what_is_allowed_is_many_times_what_was_seen() -> None:
    generator = np.random.default_rng(0)
    first = generator.normal(size=(5, 3)).astype(np.float32) * 1000
    first -= first.mean(1, keepdims=True)
    other = first.copy()
    other[:, 0] += (4, 1, 2, 0, 0)  # of which the mean over classes takes a third away
    allowed = allowed_differences([first, other])
    np.testing.assert_allclose(allowed, SAFETY * np.array([4, 1, 2, 1 * 0.5 + 0.5, 1]) * 2 / 3, rtol=1e-4)
    still = allowed_differences([first, first])
    np.testing.assert_allclose(still, 2e-5 * spread(first), rtol=1e-6)


def test_nothing_is_known_of_a_remote_ones_rounding(classifier: OnnxClassifier, images: Float32Array) -> None:
    remote = FormulaClassifier(classifier.logits, 10, classifier.spec)
    found = make_canaries(remote, None, images, seed=0)
    pool = make_pool(images, seed=0)
    known = {one.tobytes() for one in images}
    assert COUNT / 2 <= sum(one.tobytes() in known for one in found.images) < COUNT == len(found)
    assert remote.asked == len(pool.images) + 2 * COUNT
    np.testing.assert_allclose(found.allowed, LOOSE * spread(found.logits), rtol=1e-6)
    apart = np.linalg.norm(found.logits[:, None] - found.logits[None], axis=2)[~np.eye(COUNT, dtype=bool)].min()
    logits = classifier.logits(pool.images[:COUNT])
    assert apart > np.linalg.norm(logits[:, None] - logits[None], axis=2)[~np.eye(COUNT, dtype=bool)].min()
    assert (found.deviations(-found.logits) > 1).all()


def test_a_remote_one_that_never_answers_alike_is_allowed_more(
    images: Float32Array, classifier: OnnxClassifier
) -> None:
    generator = np.random.default_rng(0)

    def unsteady(given: Float32Array) -> Float32Array:
        noise = generator.normal(scale=0.1, size=(len(given), 10)).astype(np.float32)
        return classifier.logits(given) + noise

    found = make_canaries(FormulaClassifier(unsteady, 10, classifier.spec), None, images, seed=0)
    assert (found.allowed > 3 * LOOSE * spread(found.logits)).all()


def test_a_graph_whose_layers_can_not_be_changed_gets_answers_far_apart() -> None:
    model = chain([2, 3])
    classifier = OnnxClassifier(model)
    found = make_canaries(classifier, model, np.random.default_rng(0).random((9, 3, 8, 8), np.float32), seed=0)
    assert len(found) == COUNT
    assert found.deviations(classifier.logits(found.images)).max() < 0.25


def test_few_images_give_canaries_too(classifier: OnnxClassifier, model: bytes, images: Float32Array) -> None:
    found = make_canaries(classifier, model, images[:1], seed=0, count=3)
    assert len(found) == 3
    assert any(np.array_equal(one, images[0]) for one in found.images)


def test_a_setup_that_a_graph_can_not_be_run_in_is_left_out(classifier: OnnxClassifier, model: bytes) -> None:
    images = np.zeros((2, *classifier.spec.shape), np.float32)
    assert len(answers_of(model, classifier, images)) == len(SETUPS)
    with pytest.raises(ClassifierError):
        answers_of(b"no graph", classifier, images)
