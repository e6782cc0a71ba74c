from __future__ import annotations

from service.solitude import Solitude


def settled() -> Solitude:
    solitude = Solitude()
    for _ in range(8):
        assert not solitude.certain
        solitude.listened(alone=True)
    return solitude


def test_it_takes_several_in_turn_to_be_certain() -> None:
    assert settled().certain
    solitude = Solitude()
    for _ in range(7):
        solitude.listened(alone=True)
    solitude.listened(alone=False)
    for _ in range(8):
        assert not solitude.certain
        solitude.listened(alone=True)
    assert solitude.certain


def test_now_and_then_somebody_listens() -> None:
    solitude = settled()
    for _ in range(3):
        for _ in range(8):
            assert solitude.certain
            solitude.deaf()
        assert not solitude.certain
        solitude.listened(alone=True)
    solitude.listened(alone=False)
    assert not solitude.certain


def test_all_that_come_are_counted() -> None:
    solitude = Solitude()
    solitude.came()
    solitude.came()
    assert solitude.arrivals == 2
