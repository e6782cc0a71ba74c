from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.bundle import Canaries
from detector.classifiers.base import OutputKind
from detector.classifiers.breaker import BreakerState
from detector.classifiers.outputs import probe_images
from detector.classifiers.remote import RemoteClassifier
from detector.classifiers.remote_calls import CallOutcome, CallPolicy
from detector.errors import ClassifierError, UpstreamUnavailableError
from tests.support.endpoints import SPEC, ArithmeticEndpoint, Tally, arithmetic_model, formula

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

IMAGES = probe_images(SPEC, 30, seed=5)


class Altered(ArithmeticEndpoint):
    """Does something to every answer."""

    def __init__(self, alter: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        super().__init__()
        self._alter = alter

    def infer(self, batch: NDArray[Any], *, timeout: float) -> NDArray[Any]:
        return self._alter(super().infer(batch, timeout=timeout))


def _asking(endpoint: ArithmeticEndpoint, **given: Any) -> RemoteClassifier:
    options: dict[str, Any] = {"labels": tuple("abcde"), "output_kind": OutputKind.LOGITS} | given
    return RemoteClassifier(endpoint, arithmetic_model(), SPEC, clock=endpoint.clock, sleep=endpoint.sleep, **options)


def _with_nan(rows: NDArray[Any]) -> NDArray[Any]:
    rows[-1, 2] = np.nan
    return rows


@pytest.mark.parametrize(
    ("alter", "complaint"),
    [
        (_with_nan, "NaN or infinite"),
        (lambda rows: rows[:-1], "shape"),
        (lambda rows: rows[:, :4], "4 classes instead of 5"),
        (lambda rows: rows[:, :1], "one number per image"),
        (lambda rows: rows[:, :, None, None].repeat(2, axis=2), "shape"),
        (lambda rows: rows[:, : 4 if len(rows) < 8 else 5], "different numbers of classes"),
    ],
)
def test_a_bad_answer_is_refused_at_once_and_does_not_open_the_breaker(
    alter: Callable[[NDArray[Any]], NDArray[Any]], complaint: str
) -> None:
    endpoint, tally = Altered(alter), Tally()
    classifier = _asking(endpoint, observer=tally)
    for _ in range(10):
        with pytest.raises(ClassifierError, match=complaint):
            classifier.logits(IMAGES)
    assert not endpoint.waits
    assert tally.states == [BreakerState.CLOSED]


def test_an_error_for_an_answer_is_not_asked_for_again() -> None:
    endpoint, tally = ArithmeticEndpoint(), Tally()
    endpoint.down = ClassifierError("arithmetic: INTERNAL: out of memory")
    classifier = _asking(endpoint, observer=tally)
    with pytest.raises(ClassifierError, match="out of memory"):
        classifier.logits(IMAGES[:1])
    assert [outcome for outcome, _ in tally.calls] == [CallOutcome.FAILED]


def test_an_unexpected_error_gives_the_probes_place_back() -> None:
    endpoint = ArithmeticEndpoint()
    endpoint.down = UpstreamUnavailableError("nobody there", retry_after=0)
    classifier = _asking(endpoint, policy=CallPolicy(retries=4))
    with pytest.raises(UpstreamUnavailableError):
        classifier.logits(IMAGES[:1])
    endpoint.now += 5
    endpoint.down = RuntimeError("nobody thought of this")
    with pytest.raises(RuntimeError):
        classifier.logits(IMAGES[:1])
    endpoint.now += 5
    endpoint.down = None
    assert classifier.logits(IMAGES[:1]).shape == (1, 5)


def test_one_batch_that_gets_no_answer_fails_the_images_and_says_when_to_try_again() -> None:
    endpoint = ArithmeticEndpoint()
    endpoint.failures.extend([None, UpstreamUnavailableError("nobody there", retry_after=0)])
    with pytest.raises(UpstreamUnavailableError, match="nobody there") as failure:
        _asking(endpoint, policy=CallPolicy(retries=0, longest_wait=1.5)).logits(IMAGES)
    assert failure.value.retry_after == 1.5


def test_a_classifier_that_comes_back_and_fails_on_its_canaries_is_not_asked_about_images() -> None:
    endpoint = ArithmeticEndpoint()
    canaries = Canaries.loose(IMAGES[:4], formula(IMAGES[:4]))
    classifier = _asking(endpoint, policy=CallPolicy(retries=0, check_interval=0), canaries=canaries)
    endpoint.failures.extend([UpstreamUnavailableError("nobody there", retry_after=0)] * 5)
    for _ in range(5):
        with pytest.raises(UpstreamUnavailableError, match="nobody there"):
            classifier.logits(IMAGES[:1])
    endpoint.down = ClassifierError("INVALID_ARGUMENT: unexpected shape")
    endpoint.batches.clear()
    for _ in range(3):
        endpoint.now += 5
        with pytest.raises(UpstreamUnavailableError, match="can't answer the canaries: INVALID_ARGUMENT"):
            classifier.logits(IMAGES[:1])
    assert endpoint.batches == [4, 4, 4]


def test_a_look_at_the_canaries_that_gets_no_answer_is_made_up_for() -> None:
    endpoint = ArithmeticEndpoint()
    canaries = Canaries.loose(IMAGES[:4], formula(IMAGES[:4]))
    classifier = _asking(endpoint, policy=CallPolicy(retries=0, check_interval=60), canaries=canaries)
    endpoint.now += 60
    endpoint.failures.append(UpstreamUnavailableError("nobody there", retry_after=0))
    with pytest.raises(UpstreamUnavailableError):
        classifier.logits(IMAGES[:1])
    classifier.logits(IMAGES[:1])
    classifier.logits(IMAGES[:1])
    assert endpoint.batches == [4, 4, 1, 1]


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (1, 3, 4, 5), (3, 4, 4)])
def test_images_of_another_shape_are_not_sent(shape: tuple[int, ...]) -> None:
    endpoint = ArithmeticEndpoint()
    with pytest.raises(ClassifierError, match="images: shape"):
        _asking(endpoint).logits(np.zeros(shape, np.float32))
    assert not endpoint.batches


def test_labels_of_another_number_than_the_classes_are_refused() -> None:
    with pytest.raises(ClassifierError, match="labels: 2 given"):
        _asking(ArithmeticEndpoint(), labels=("a", "b"), output_kind=None)


@pytest.mark.parametrize(
    "values", [{"timeout": 0.0}, {"first_wait": 0.0}, {"longest_wait": 0.01}, {"retries": -1}, {"parallel": 0}]
)
def test_a_policy_out_of_range_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ClassifierError, match="CallPolicy"):
        CallPolicy(**values)
