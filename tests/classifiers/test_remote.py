from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.bundle import Canaries
from detector.classifiers.base import Classifier, OutputKind
from detector.classifiers.breaker import BreakerPolicy, BreakerState
from detector.classifiers.outputs import probe_images
from detector.classifiers.remote import RemoteClassifier
from detector.classifiers.remote_calls import CallOutcome, CallPolicy
from detector.errors import UpstreamUnavailableError
from tests.support.endpoints import SPEC, ArithmeticEndpoint, Tally, arithmetic_model, formula

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

IMAGES = probe_images(SPEC, 30, seed=5)
ONE = IMAGES[:1]
PATIENT = BreakerPolicy(failures=1000)


def silence(retry_after: float = 0) -> UpstreamUnavailableError:
    return UpstreamUnavailableError("nobody there", retry_after=retry_after)


def asking(
    endpoint: ArithmeticEndpoint, *, batch: int = 8, fixed_batch: bool = False, **given: Any
) -> RemoteClassifier:
    """A classifier around an endpoint, on its clock; connected but not asked yet."""
    options: dict[str, Any] = {"labels": tuple("abcde"), "output_kind": OutputKind.LOGITS, "seed": 1} | given
    model = arithmetic_model(batch, fixed_batch=fixed_batch)
    return RemoteClassifier(endpoint, model, SPEC, clock=endpoint.clock, sleep=endpoint.sleep, **options)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 30])
@pytest.mark.parametrize("fixed_batch", [False, True])
def test_answers_do_not_depend_on_how_images_are_split(count: int, *, fixed_batch: bool) -> None:
    endpoint = ArithmeticEndpoint()
    classifier = asking(endpoint, fixed_batch=fixed_batch)
    assert isinstance(classifier, Classifier)
    answers = classifier.answers(IMAGES[:count])
    np.testing.assert_allclose(answers.logits, formula(IMAGES[:count]), rtol=1e-5, atol=1e-5)
    assert answers.taps.shape == (count, classifier.tap_count) == (count, 0)
    whole, rest = divmod(count, 8)
    parts = [8] * whole + ([8 if fixed_batch else rest] if rest else [])
    assert sorted(endpoint.batches) == sorted(parts)


def test_what_is_not_known_is_asked_for() -> None:
    class Probabilities(ArithmeticEndpoint):
        def infer(self, batch: NDArray[Any], *, timeout: float) -> NDArray[Any]:
            powers = np.exp(super().infer(batch, timeout=timeout))
            return powers / powers.sum(1, keepdims=True)

    found = asking(Probabilities(), labels=None, output_kind=None)
    assert found.labels == tuple(f"class_{i}" for i in range(5))
    assert found.output_kind is OutputKind.PROBABILITIES
    np.testing.assert_allclose(np.exp(found.logits(IMAGES)).sum(1), 1, rtol=1e-5)


def test_several_batches_are_under_way_at_once_and_no_more_than_allowed() -> None:
    together = threading.Barrier(3)

    class Meeting(ArithmeticEndpoint):
        """Answers when three calls have met."""

        def infer(self, batch: NDArray[Any], *, timeout: float) -> NDArray[Any]:
            together.wait(20)
            return super().infer(batch, timeout=timeout)

    classifier = asking(Meeting(), batch=5, policy=CallPolicy(parallel=3))
    np.testing.assert_allclose(classifier.logits(IMAGES), formula(IMAGES), rtol=1e-5, atol=1e-5)
    assert not together.broken


def test_what_failed_is_tried_again_after_a_random_wait_that_grows_up_to_its_cap() -> None:
    waits = []
    for seed in range(200):
        endpoint = ArithmeticEndpoint()
        endpoint.failures.extend([silence()] * 5)
        tally = Tally()
        policy = CallPolicy(retries=5, first_wait=0.1, longest_wait=0.6, timeout=60, breaker=PATIENT)
        np.testing.assert_allclose(asking(endpoint, policy=policy, seed=seed, observer=tally).logits(ONE), formula(ONE))
        assert tally.retries == len(endpoint.waits) == 5
        waits.append(endpoint.waits)
    caps = np.array([0.1, 0.2, 0.4, 0.6, 0.6])
    assert (np.array(waits) <= caps).all()
    np.testing.assert_allclose(np.array(waits).mean(0), caps / 2, rtol=0.15)
    assert len({tuple(wait) for wait in waits}) == 200


def test_the_other_side_may_ask_for_a_longer_wait() -> None:
    endpoint = ArithmeticEndpoint()
    endpoint.failures.append(silence(retry_after=3.0))
    asking(endpoint).logits(ONE)
    assert endpoint.waits == [3.0]


def test_the_time_out_is_for_all_tries_together() -> None:
    endpoint = ArithmeticEndpoint()
    endpoint.takes, endpoint.down = 4.0, silence()
    with pytest.raises(UpstreamUnavailableError, match="nobody there"):
        asking(
            endpoint, policy=CallPolicy(timeout=10, retries=100, first_wait=1.0, longest_wait=1.0, breaker=PATIENT)
        ).logits(ONE)
    assert endpoint.timeouts[0] == 10
    assert endpoint.now <= 1000 + 10 + endpoint.takes
    spent = np.cumsum([4.0 + wait for wait in endpoint.waits])
    np.testing.assert_allclose(endpoint.timeouts[1:], 10 - spent)


def test_while_the_breaker_is_open_nobody_is_asked_and_the_first_answer_closes_it() -> None:
    endpoint, tally = ArithmeticEndpoint(), Tally()
    classifier = asking(endpoint, policy=CallPolicy(retries=0), observer=tally)
    endpoint.down = silence()
    for _ in range(5):
        with pytest.raises(UpstreamUnavailableError, match="nobody there"):
            classifier.logits(ONE)
    with pytest.raises(UpstreamUnavailableError, match="not asked for a while") as refusal:
        classifier.logits(IMAGES)
    assert len(endpoint.batches) == 5
    assert refusal.value.retry_after == 5.0
    endpoint.down, endpoint.now = None, endpoint.now + 5
    # Several batches: one goes ahead as the probe, and the others are not refused.
    np.testing.assert_allclose(classifier.logits(IMAGES), formula(IMAGES), rtol=1e-5, atol=1e-5)
    assert tally.states == [BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]
    assert [outcome for outcome, _ in tally.calls] == [CallOutcome.UNAVAILABLE] * 5 + [CallOutcome.OK] * 4


def _with_canaries(endpoint: ArithmeticEndpoint, interval: float, *, batch: int = 8) -> RemoteClassifier:
    canaries = Canaries.loose(IMAGES[20:25], formula(IMAGES[20:25]))
    policy = CallPolicy(check_interval=interval, retries=0)
    return asking(endpoint, batch=batch, policy=policy, canaries=canaries)


def _logits(classifier: RemoteClassifier) -> Float32Array:
    return classifier.logits(ONE)


@pytest.mark.parametrize("batch", [8, 2])
def test_canaries_are_shown_now_and_then_and_never_more_than_a_batch(batch: int) -> None:
    endpoint = ArithmeticEndpoint()
    classifier = _with_canaries(endpoint, 60, batch=batch)
    for _ in range(3):
        _logits(classifier)
    assert endpoint.batches == [1, 1, 1]
    endpoint.now += 60
    for _ in range(3):
        _logits(classifier)
    assert endpoint.batches == [1, 1, 1, min(batch, 5), 1, 1, 1]


def test_another_classifier_in_its_place_is_not_asked_until_the_right_one_is_back() -> None:
    endpoint = ArithmeticEndpoint()
    classifier = _with_canaries(endpoint, 60)
    endpoint.shift = np.array([0, 3, 0, 0, 0], np.float32)
    endpoint.now += 60
    for _ in range(3):
        with pytest.raises(UpstreamUnavailableError, match="not the one this bundle was calibrated for"):
            _logits(classifier)
        with pytest.raises(UpstreamUnavailableError, match="not asked for a while"):
            _logits(classifier)
        endpoint.now += 5
    assert set(endpoint.batches) == {5}  # no image of a caller was ever shown to it
    endpoint.shift = np.zeros(5, np.float32)
    np.testing.assert_allclose(_logits(classifier), formula(ONE))
    assert classifier.breaker_state is BreakerState.CLOSED


def test_after_an_outage_it_has_to_prove_itself() -> None:
    endpoint = ArithmeticEndpoint()
    classifier = _with_canaries(endpoint, 0)
    endpoint.down = silence()
    for _ in range(5):
        with pytest.raises(UpstreamUnavailableError):
            _logits(classifier)
    endpoint.down, endpoint.shift = None, np.array([0, 3, 0, 0, 0], np.float32)
    endpoint.now += 5
    with pytest.raises(UpstreamUnavailableError, match="not the one"):
        _logits(classifier)


def test_closing_lets_go_of_the_connection() -> None:
    endpoint = ArithmeticEndpoint()
    asking(endpoint).close()
    assert endpoint.closed
