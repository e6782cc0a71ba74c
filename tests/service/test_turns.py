from __future__ import annotations

from service.callers import Caller, Priority
from service.turns import Turns

ANN, BEN, BULK = Caller("ann"), Caller("ben"), Caller("ann", Priority.BULK)


def _taken(turns: Turns[str], count: int) -> list[str]:
    return [turns.take() for _ in range(count)]


def _queued(*items: tuple[Caller, str]) -> Turns[str]:
    turns: Turns[str] = Turns()
    for caller, item in items:
        turns.add(caller, item)
    return turns


def test_callers_take_turns_and_each_keeps_its_order() -> None:
    turns = _queued((ANN, "a1"), (ANN, "a2"), (ANN, "a3"), (BEN, "b1"), (BEN, "b2"))
    assert turns.callers == 2
    assert _taken(turns, 5) == ["a1", "b1", "a2", "b2", "a3"]
    assert not turns


def test_bulk_comes_last_and_a_caller_may_have_both() -> None:
    turns = _queued((BULK, "bulk"), (ANN, "a1"), (BEN, "b1"))
    assert turns.callers == 2
    assert _taken(turns, 3) == ["a1", "b1", "bulk"]


def test_bulk_never_stands_still() -> None:
    turns = _queued((BULK, "bulk"), *((ANN, str(i)) for i in range(20)))
    taken = []
    for _ in range(10):
        turns.begin_batch()
        taken.append(turns.take())
    assert taken.index("bulk") == 7


def test_who_leaves_is_forgotten() -> None:
    turns = _queued((ANN, "a1"), (BEN, "b1"), (BEN, "b2"))
    turns.drop(ANN, "a1")
    turns.drop(ANN, "a1")
    turns.drop(BEN, "b1")
    turns.drop(BULK, "never there")
    assert turns.callers == 1
    assert _taken(turns, 1) == ["b2"]
    assert not turns
