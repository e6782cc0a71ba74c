from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.shards.stages import StageStore

if TYPE_CHECKING:
    from pathlib import Path

    from detector.shards.stages import Arrays


class Work:
    """A stage's computation that counts how often it is done."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self) -> Arrays:
        self.done += 1
        return {"squares": np.arange(5) ** 2, "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T}


@pytest.fixture
def work() -> Work:
    return Work()


def _same(found: Arrays) -> bool:
    wanted = Work()()
    return found.keys() == wanted.keys() and all(
        found[name].dtype == wanted[name].dtype and np.array_equal(found[name], wanted[name]) for name in wanted
    )


def test_a_stage_is_computed_once(tmp_path: Path, work: Work) -> None:
    first, found_first = StageStore(tmp_path / "work", {"seed": 1}).run("walk", work)
    second, found_second = StageStore(tmp_path / "work", {"seed": 1}).run("walk", work)
    assert (found_first, found_second) == (False, True)
    assert _same(first)
    assert _same(second)
    assert work.done == 1


@pytest.mark.parametrize(
    ("inputs", "name", "depends"),
    [
        ({"seed": 2}, "walk", {"attack": "PGD-Linf-8/255"}),
        ({"seed": 1, "images": "abc"}, "walk", {"attack": "PGD-Linf-8/255"}),
        ({"seed": 1}, "stand", {"attack": "PGD-Linf-8/255"}),
        ({"seed": 1}, "walk", {"attack": "PGD-Linf-4/255"}),
        ({"seed": 1}, "walk", {}),
    ],
)
def test_other_inputs_options_or_names_make_another_stage(
    tmp_path: Path, work: Work, inputs: dict[str, Any], name: str, depends: dict[str, Any]
) -> None:
    StageStore(tmp_path, {"seed": 1}).run("walk", work, attack="PGD-Linf-8/255")
    _, found = StageStore(tmp_path, inputs).run(name, work, **depends)
    assert not found
    assert work.done == 2
    _, found = StageStore(tmp_path, {"seed": 1}).run("walk", work, attack="PGD-Linf-8/255")
    assert found


def test_the_order_of_inputs_does_not_matter(tmp_path: Path, work: Work) -> None:
    StageStore(tmp_path, {"a": 1, "b": {"c": 2, "d": 3}}).run("walk", work)
    _, found = StageStore(tmp_path, {"b": {"d": 3, "c": 2}, "a": 1}).run("walk", work)
    assert found


def test_empty_arrays_are_kept(tmp_path: Path) -> None:
    store = StageStore(tmp_path, {})
    nothing: Arrays = {"images": np.empty((0, 3, 2, 2), np.float32), "rows": np.empty(0, np.int64)}
    store.run("attack", lambda: nothing)
    arrays, found = store.run("attack", lambda: pytest.fail("computed again"))
    assert found
    assert arrays["images"].shape == (0, 3, 2, 2)


def test_clearing_forgets(tmp_path: Path, work: Work) -> None:
    store = StageStore(tmp_path / "work", {})
    store.run("walk", work)
    store.clear()
    assert not (tmp_path / "work").exists()
    store.clear()
    store.run("walk", work)
    assert work.done == 2
