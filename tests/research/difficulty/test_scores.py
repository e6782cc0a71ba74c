"""All scores of all runs: what is streamed over checkpoints is what all checkpoints together say, and runs are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from detector.errors import AnalysisError
from detector.research.difficulty.gradients import example_gradients
from detector.research.difficulty.kinds import FORGETTING, KINDS, POINTWISE, Needs, Scored
from detector.research.difficulty.observing import Observer, outputs
from detector.research.difficulty.options import COLOUR, GREY
from detector.research.difficulty.pointwise import pointwise
from detector.research.difficulty.runs_job import looked_at
from detector.research.difficulty.scores import difficulty_runs, difficulty_scores
from detector.shards.base import LocalRunner
from detector.training.data import LabelledImages
from detector.training.options import PlanOptions
from detector.training.pruning import PruningPlan, pruned
from detector.training.runs import checkpoints
from detector.training.trainer import load_weights
from tests.research.difficulty.seeing import digits, small, workplace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from detector.research.difficulty.table import ScoreTable
    from detector.shards.base import Task


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ScoreTable]:
    """A folder with finished runs, and their table."""
    folder = tmp_path_factory.mktemp("scores")
    return folder, difficulty_scores(workplace(folder), small())


def test_every_score_of_one_run_is_there(scored: tuple[Path, ScoreTable]) -> None:
    _, table = scored
    assert table.architectures == ("mlp-16", "flatcnn-4")
    assert (table.runs, table.examples) == (3, 300)
    others = {Needs.ENSEMBLE, Needs.SUBSETS, Needs.LEVELS}
    expected = [name for name, kind in KINDS.items() if kind.needs not in others]
    assert list(table.scores) == expected
    assert " ".join(small().watch.missing) == "firstforget, firstunlearnable: no pruning was asked for"


def test_what_is_streamed_is_what_all_checkpoints_together_say(scored: tuple[Path, ScoreTable]) -> None:
    _, table = scored
    options = small()
    recipe = options.recipes("flatcnn-4", options.images, 3)[1]
    labels = options.images.labels
    modules = [one.module for one in checkpoints(recipe, options.images, looked_at(recipe.plan.steps, 4))]
    seen = np.stack([pointwise(outputs(module, options.images), labels) for module in modules])
    for place, kind in enumerate(POINTWISE):
        values = kind.sign * seen[:, place]
        np.testing.assert_allclose(table.of("flatcnn-4", f"avg-{kind.name}")[1], values.mean(0), atol=1e-12)
        np.testing.assert_allclose(table.of("flatcnn-4", f"last-{kind.name}")[1], values[-1], atol=1e-12)
        np.testing.assert_allclose(table.of("flatcnn-4", f"var-{kind.name}")[1], values.var(0, ddof=1), atol=1e-12)
    right = seen[:, 0]
    drops = (np.diff(np.vstack([np.zeros((1, len(labels))), right]), axis=0) == -1).sum(0)
    np.testing.assert_array_equal(table.of("flatcnn-4", "countforget")[1], drops)

    assert options.watch.gradients == (1, 3)
    images = torch.from_numpy(options.images.canonical)
    told = [example_gradients(modules[place], images, torch.from_numpy(labels)) for place in (1, 3)]
    grand = np.mean([one.norms.numpy() for one in told], axis=0)
    np.testing.assert_allclose(table.of("flatcnn-4", "grand")[1], grand, rtol=1e-5)
    vog = np.var([one.label.numpy() for one in told], axis=0, ddof=1).mean((1, 2))
    np.testing.assert_allclose(table.of("flatcnn-4", "vog")[1], vog, rtol=1e-4, atol=1e-12)


def test_an_example_with_a_wrong_label_is_among_the_hardest_tenth_by_most_scores(tmp_path: Path) -> None:
    images = digits()
    labels = images.labels.copy()
    labels[7] = (labels[7] + 5) % 10
    wrong = LabelledImages(images.images, labels, 10)
    table = difficulty_scores(workplace(tmp_path), small(images=wrong, architectures=("mlp-16",)))
    means = table.values[0].mean(0)
    for name in ("avg-loss", "avg-el2n", "avg-conf", "avg-margin", "avg-acc", "last-loss", "firstlearn", "grand", "pd"):
        of_all = means[table.scores.index(name)]
        assert (of_all <= of_all[7]).mean() > 0.9, name


def test_runs_that_are_finished_are_not_run_again(scored: tuple[Path, ScoreTable]) -> None:
    folder, table = scored

    class Nobody(LocalRunner):
        def run(self, tasks: Iterable[Task]) -> Iterator[Any]:
            assert not list(tasks)
            return iter(())

    again = difficulty_scores(workplace(folder, Nobody(None)), small())
    np.testing.assert_array_equal(again.values, table.values)


def test_an_interrupted_analysis_goes_on_with_the_run_that_it_was_at(tmp_path: Path) -> None:
    options = small(architectures=("mlp-16",))
    done: list[int] = []

    class Counting(LocalRunner):
        def __init__(self, most: int) -> None:
            super().__init__(None)
            self._most = most

        def run(self, tasks: Iterable[Task]) -> Iterator[Any]:
            for task, arrays in super().run(tasks):
                if len(done) == self._most:
                    raise KeyboardInterrupt
                done.append(task.shard.number)
                yield task, arrays

    with pytest.raises(KeyboardInterrupt):
        difficulty_scores(workplace(tmp_path, Counting(2)), options)
    found = difficulty_scores(workplace(tmp_path, Counting(9)), options)
    assert done == [0, 1, 2]
    whole = difficulty_scores(workplace(tmp_path / "whole"), options)
    np.testing.assert_array_equal(found.values, whole.values)


def test_held_out_images_are_no_runs_own(tmp_path: Path) -> None:
    options = small(scored=Scored.HELD_OUT, architectures=("mlp-16",))
    watch = options.watch
    assert watch.held_out is not None
    assert (len(watch.images), len(watch.scored)) == (240, 60)
    everything = {image.tobytes() for image in watch.images.images}
    assert not everything & {image.tobytes() for image in watch.scored.images}
    found = difficulty_runs(workplace(tmp_path), options)["mlp-16"]
    assert found["scores"].shape == (3, len(watch.names), 60)
    assert found["predicted"].shape == found["learnt"].shape == (3, 60)
    right = found["predicted"] == watch.scored.labels
    np.testing.assert_array_equal(right, -found["scores"][:, watch.names.index("last-acc")])
    assert (found["learnt"] >= right).all()
    assert "60 held-out ones" in options.what


def test_one_checkpoint_leaves_variances_out_and_says_so(tmp_path: Path) -> None:
    options = small(architectures=("mlp-16",), training=PlanOptions(epochs=1, batch=32), gradients=4, probes=0, runs=1)
    table = difficulty_scores(workplace(tmp_path), options)
    assert not any(name.startswith("var-") or "vog" in name or name == "pd" for name in table.scores)
    assert {"avg-loss", "grand", *(kind.name for kind in FORGETTING)} <= set(table.scores)
    said = " ".join(options.watch.missing)
    for reason in ("need two checkpoints", "gradients at two checkpoints", "no hidden layers"):
        assert reason in said
    assert "no gradients were asked for" in " ".join(small(gradients=0).watch.missing)
    np.testing.assert_allclose(table.of("mlp-16", "avg-loss"), table.of("mlp-16", "last-loss"))


def test_levels_of_pruning_are_seen_after_training(tmp_path: Path) -> None:
    options = small(architectures=("mlp-16",), levels=2, runs=1, gradients=0, probes=0)
    table = difficulty_scores(workplace(tmp_path), options)
    recipe = options.recipes("mlp-16", options.images, 1)[0]
    right = []
    for level in pruned(recipe, options.images, PruningPlan(levels=2)):
        module = recipe.network().eval()
        load_weights(module, level.weights)
        right.append(outputs(module, options.images).argmax(1) == options.images.labels)
    assert len(right) == 3
    first = [next((number for number, one in enumerate(right) if not one[place]), 3) for place in range(300)]
    np.testing.assert_array_equal(-table.of("mlp-16", "firstforget")[0], first)
    lost = [next((n for n in range(3) if not any(one[place] for one in right[n:])), 3) for place in range(300)]
    np.testing.assert_array_equal(-table.of("mlp-16", "firstunlearnable")[0], lost)
    without = difficulty_scores(workplace(tmp_path), small(architectures=("mlp-16",), runs=1, gradients=0, probes=0))
    np.testing.assert_array_equal(table.only(without.scores).values, without.values)


def test_networks_that_suit_the_images_are_taken_where_none_is_named() -> None:
    assert small(architectures=()).chosen == GREY
    colour = LabelledImages(np.zeros((9, 3, 8, 8), np.uint8), np.arange(9) % 3, 3)
    assert small(images=colour, architectures=()).chosen == COLOUR


def test_quick_is_smaller_in_every_way_and_of_all_classes() -> None:
    options = small(images=digits(900), architectures=(), training=PlanOptions(epochs=12), runs=12, quick=True)
    quick = options.sized
    assert quick.chosen == (GREY[0], GREY[2])
    assert (quick.training.epochs, quick.runs, len(quick.images)) == (4, 6, 400)
    assert np.bincount(quick.images.labels).tolist() == [40] * 10
    assert small().sized.runs == 3


def test_no_two_runs_share_a_seed() -> None:
    options = small()
    seeds = [
        recipe.init_seed
        for seed in (0, 1)
        for name in options.chosen
        for recipe in small(seed=seed).recipes(name, options.images, 50)
    ]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"architectures": ("mlp-8", "mlp-8")}, "architectures must differ"),
        ({"architectures": ("vgg",)}, "no network is called 'vgg'"),
        ({"runs": 0}, "runs must lie in"),
        ({"test_share": 1.0}, "test_share between"),
        ({"gradients": -1}, "must not be negative"),
        ({"levels": 51}, "levels lie in"),
        ({"folds": 1}, "folds must lie in"),
        ({"names": ("one",)}, "a name for each image"),
        ({"class_names": ("one",)}, "a name for each image and for each class"),
        ({"images": LabelledImages(np.zeros((4, 1, 8, 8), np.uint8), np.zeros(4, np.int64), 1)}, "two classes"),
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(AnalysisError, match=said):
        small(**values)


def test_more_scores_than_are_held_at_once_are_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.research.difficulty.scores.MAX_NUMBERS", 1000)
    with pytest.raises(AnalysisError, match="take fewer images or runs"):
        difficulty_scores(workplace(tmp_path), small())
    assert not (tmp_path / ".work").exists()


def test_a_network_that_diverged_is_told_as_such() -> None:
    observer = Observer(small().watch)
    recipe = small().recipes("mlp-16", digits(), 1)[0]
    module = recipe.network().eval()
    with torch.no_grad():
        next(module.parameters()).fill_(float("nan"))
    with pytest.raises(AnalysisError, match="lower the learning rate"):
        observer.look(module)
