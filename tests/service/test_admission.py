from __future__ import annotations

from contextlib import ExitStack

import pytest

from detector.errors import OverloadedError
from service.admission import Admission
from service.callers import Caller, Priority

ANN, BEN = Caller("ann"), Caller("ben")
BULK = Caller("ann", Priority.BULK)


def admission(places: int, **limits: float) -> tuple[Admission, list[int]]:
    told: list[int] = []
    return Admission(places, seconds_for=lambda images: images / 4, observer=told.append, **limits), told


def _filled(found: Admission, stack: ExitStack, caller: Caller, images: int = 1) -> int:
    """How many images a caller gets in, so many at a time."""
    count = 0
    while True:
        try:
            stack.enter_context(found.places(images, caller))
        except OverloadedError:
            return count
        count += images


def test_places_are_counted_and_given_back() -> None:
    found, told = admission(10)
    with found.places(4, ANN), found.places(2, BEN):
        assert found.admitted == 6
    assert found.admitted == 0
    assert told == [4, 6, 4, 0]


def test_an_error_gives_places_back_too() -> None:
    found, _ = admission(10)
    with pytest.raises(ValueError, match="wrong"), found.places(4, ANN):
        raise ValueError("wrong")
    assert found.admitted == 0


def test_there_are_never_more_than_there_are_places() -> None:
    found, _ = admission(10)
    with found.places(8, ANN):
        says = r"overloaded: 8 images are being served, 3 more would pass the limit of 10; try again in 2.00 s"
        with pytest.raises(OverloadedError, match=says) as caught, found.places(3, BEN):
            pass
        assert caught.value.retry_after == 2.0  # at four images a second
        assert found.admitted == 8


def test_a_single_request_may_fill_all_places() -> None:
    found, _ = admission(10)
    with found.places(10, ANN):
        assert found.admitted == 10


def test_one_caller_gets_most_and_leaves_room_for_another() -> None:
    found, _ = admission(900)
    with ExitStack() as stack:
        assert _filled(found, stack, ANN) == 800
        with pytest.raises(OverloadedError, match="800 of your images are being served, and the places left are kept"):
            stack.enter_context(found.places(1, ANN))
        assert _filled(found, stack, BEN) > 80


def test_callers_who_all_want_everything_get_the_same() -> None:
    found, _ = admission(1000)
    with ExitStack() as stack:
        held = dict.fromkeys("abc", 0)
        for _ in range(1000):
            for name in held:
                try:
                    stack.enter_context(found.places(1, Caller(name)))
                    held[name] += 1
                except OverloadedError:
                    pass
        assert max(held.values()) - min(held.values()) <= 1
        assert sum(held.values()) > 900
        assert _filled(found, stack, Caller("new")) > 0


def test_bulk_work_holds_half_at_most_and_urgent_work_the_rest() -> None:
    found, _ = admission(100)
    with ExitStack() as stack:
        assert _filled(found, stack, BULK) == 50
        with pytest.raises(OverloadedError, match="50 images of bulk work are being served"):
            stack.enter_context(found.places(1, Caller("other", Priority.BULK)))
        assert _filled(found, stack, BEN) > 40


def test_a_large_bulk_request_is_not_locked_out() -> None:
    found, _ = admission(100)
    with found.places(90, BULK):
        assert found.admitted == 90


def test_urgent_work_is_refused_where_it_would_wait_too_long() -> None:
    found, _ = admission(1000, max_wait=2.0)
    with ExitStack() as stack:
        assert _filled(found, stack, Caller("bulk", Priority.BULK), 4) > 16  # waits for whatever it may be
        assert _filled(found, stack, ANN) == 9  # the ninth waits for eight, the tenth would for nine
        says = r"the 9 images ahead take about 2\.25 s, 2 are allowed; try again in"
        with pytest.raises(OverloadedError, match=says):
            stack.enter_context(found.places(1, BEN))


def test_who_has_nobody_ahead_gets_in_however_much_it_is() -> None:
    found, _ = admission(1000, max_wait=0.1)
    with found.places(500, ANN):
        pass
