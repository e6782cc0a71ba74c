from __future__ import annotations

from service.solitude import Solitude


def listen(solitude: Solitude, *, alone: bool) -> None:
    with solitude.listening(alone=alone):
        assert not solitude.certain


def settled() -> Solitude:
    solitude = Solitude()
    for _ in range(8):
        assert not solitude.certain
        listen(solitude, alone=True)
    return solitude


def test_it_takes_several_in_turn_to_be_certain() -> None:
    assert settled().certain
    solitude = Solitude()
    for _ in range(7):
        listen(solitude, alone=True)
    listen(solitude, alone=False)
    for _ in range(8):
        assert not solitude.certain
        listen(solitude, alone=True)
    assert solitude.certain


def test_now_and_then_somebody_listens() -> None:
    solitude = settled()
    for _ in range(3):
        for _ in range(8):
            assert solitude.certain
            solitude.deaf()
        assert not solitude.certain
        listen(solitude, alone=True)
    listen(solitude, alone=False)
    assert not solitude.certain


def test_who_comes_while_somebody_listens_is_heard() -> None:
    solitude = settled()
    with solitude.listening(alone=True):
        solitude.came()
    assert not solitude.certain


def test_all_that_come_are_counted() -> None:
    solitude = Solitude()
    solitude.came()
    solitude.came()
    assert solitude.arrivals == 2
