from __future__ import annotations

import pytest

from detector.errors import LimitExceededError, QuotaError
from service.quota import Quota


class Clock:
    """Seconds, as told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_images_may_come_at_once_and_come_back_with_time() -> None:
    clock = Clock()
    quota = Quota(60, clock=clock)
    quota.take("ann", 50)
    quota.take("ann", 10)
    with pytest.raises(QuotaError, match=r"the quota of 60 images per minute is used up; try again in 5\.00 s") as it:
        quota.take("ann", 5)
    assert it.value.retry_after == pytest.approx(5)
    clock.now += 5
    quota.take("ann", 5)
    clock.now += 3600
    quota.take("ann", 60)  # and no more than a minute's worth is saved up
    with pytest.raises(QuotaError):
        quota.take("ann", 1)


def test_callers_have_quotas_of_their_own() -> None:
    quota = Quota(10, clock=Clock())
    quota.take("ann", 10)
    quota.take("ben", 10)
    with pytest.raises(QuotaError):
        quota.take("ann", 1)


def test_a_refused_request_costs_nothing() -> None:
    quota = Quota(10, clock=Clock())
    quota.take("ann", 6)
    with pytest.raises(QuotaError):
        quota.take("ann", 6)
    quota.take("ann", 4)


def test_more_than_the_quota_in_one_request_is_never_right() -> None:
    with pytest.raises(LimitExceededError, match="images: 11 images, the quota is 10 per minute"):
        Quota(10, clock=Clock()).take("ann", 11)


def test_no_quota_is_no_quota() -> None:
    quota = Quota(0, clock=Clock())
    for _ in range(10):
        quota.take("ann", 10**9)


def test_callers_who_come_and_go_fill_no_memory() -> None:
    quota = Quota(10, clock=Clock())
    for number in range(12_000):
        quota.take(str(number), 1)
    assert len(quota._left) == 10_000
