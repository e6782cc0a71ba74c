"""Images to look at: labels that were flipped are found, lists say why, and files say it all."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.data.digests import image_digests
from detector.errors import AnalysisError
from detector.research.difficulty.cleaning import Cleaning, Flag
from detector.research.difficulty.cleaning_files import LISTED, TABLE, cleaning_files
from detector.research.difficulty.cleaning_study import study
from detector.research.difficulty.parts_job import PartRuns
from detector.research.difficulty.suspects import suspects
from detector.training.data import LabelledImages
from detector.training.options import PlanOptions
from tests.research.difficulty.seeing import digits, small, workplace

if TYPE_CHECKING:
    from pathlib import Path

    from detector.research.difficulty.options import DifficultyOptions
    from detector.research.studies import Study

COUNT = 800
FLIPPED = 40


def _flipped() -> tuple[LabelledImages, np.ndarray]:
    """Digits of which 5 % have another label, and which."""
    images, generator = digits(COUNT), np.random.default_rng(3)
    rows = np.sort(generator.choice(COUNT, FLIPPED, replace=False))
    labels = images.labels.copy()
    labels[rows] = (labels[rows] + generator.integers(1, 10, FLIPPED)) % 10
    return LabelledImages(images.images, labels, 10), rows


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study, DifficultyOptions, np.ndarray]:
    images, rows = _flipped()
    options = small(
        images=images,
        architectures=("mlp-64", "mlp-32"),
        training=PlanOptions(epochs=8, learning_rate=0.05, batch=32),
        names=tuple(f"digit {row}.png" for row in range(COUNT)),
        class_names=("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
        folds=3,
    )
    folder = tmp_path_factory.mktemp("cleaning")
    return folder, study(workplace(folder), options), options, rows


def test_flipped_labels_are_found(cleaned: tuple[Path, Study, DifficultyOptions, np.ndarray]) -> None:
    _, found, _, rows = cleaned
    listed = np.flatnonzero(found.arrays["mislabelled"])
    hits = np.isin(listed, rows).sum()
    assert hits / FLIPPED >= 0.6  # recall
    assert hits / len(listed) >= 0.85  # precision, which the method prefers
    consensus = found.arrays["says"][rows]
    assert (consensus == digits(COUNT).labels[rows]).mean() > 0.85  # and what they show is known
    assert found.arrays["difficulty"][rows].mean() > 0.9
    lost = np.flatnonzero(found.arrays["unlearnable"])
    assert np.isin(lost, rows).mean() > 0.7, (len(lost), np.isin(lost, rows).mean())


def test_a_table_names_files_labels_and_reasons(cleaned: tuple[Path, Study, DifficultyOptions, np.ndarray]) -> None:
    folder, found, options, rows = cleaned
    table = list(csv.DictReader(io.StringIO((folder / TABLE).read_text())))
    assert len({row["file"] for row in table}) == len(table)
    counts = found.figures["counts"]
    for flag in Flag:
        assert sum(flag.value in row["flags"].split() for row in table) == counts[flag.value]
    assert counts["hardest"] == COUNT // 10
    first = table[0]
    assert "mislabelled" in first["flags"]
    place = options.names.index(first["file"])
    assert place in rows
    assert first["label"] == options.class_names[options.images.labels[place]]
    assert first["consensus"] == options.class_names[digits(COUNT).labels[place]]
    wrong = [row for row in table if "mislabelled" in row["flags"]]
    assert [float(row["quality"]) for row in wrong] == sorted(float(row["quality"]) for row in wrong)
    assert found.figures["listed"][0]["file"] == first["file"]


def test_a_file_knows_images_by_what_they_are(cleaned: tuple[Path, Study, DifficultyOptions, np.ndarray]) -> None:
    folder, found, options, _ = cleaned
    listed = json.loads((folder / LISTED).read_text())
    assert (listed["schema_version"], listed["images"], listed["shape"]) == (1, COUNT, [1, 8, 8])
    digests = image_digests(options.images.images.transpose(0, 2, 3, 1))
    wrong = {digest for digest, one in zip(digests, found.arrays["mislabelled"], strict=True) if one}
    assert wrong == {digest for digest, row in listed["listed"].items() if "mislabelled" in row["flags"]}
    assert not any(name.startswith("/") for name in listed)


def test_sheets_show_the_worst(cleaned: tuple[Path, Study, DifficultyOptions, np.ndarray]) -> None:
    folder, found, _, _ = cleaned
    assert (folder / "cleaning-mislabelled.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "cleaning-hardest.png").is_file()
    text = "".join(map(str, found.sections[0].body))
    assert "Labels that are likely wrong" in text
    assert text.count("data:image/png") == sum(map(bool, found.figures["counts"].values()))


def _runs(**values: np.ndarray) -> PartRuns:
    """Four images by four runs, of which every image has two that did not train on it."""
    trained_on = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], bool)
    usual = {
        "trained_on": trained_on,
        "predicted": np.array([[0, 0, 1, 1]] * 4),
        "learnt": np.array([[1, 0, 1, 1], [1, 0, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1]], bool),
        "ranked": np.tile([0.1, 0.9, 0.2, 0.2], (4, 1)),
        "shares": np.array([[0.9, 0.1], [0.95, 0.05], [0.1, 0.9], [0.2, 0.8]]),
    }
    return PartRuns(**usual | values)


def test_lists_are_those_of_their_definitions() -> None:
    labels = np.array([0, 1, 1, 1])
    found = Cleaning.of(_runs(), labels)
    assert found.suspects.mislabelled.tolist() == [False, True, False, False]
    assert found.suspects.consensus.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(found.suspects.quality, [0.8, -0.9, 0.8, 0.6])
    np.testing.assert_allclose(found.difficulty, [0, 1, 0.5, 0.5])  # equal ranks share their mean
    assert not found.unlearnable.any()  # one run knew the second at some time
    assert Cleaning.of(_runs(learnt=np.array([[1, 0, 1, 1]] * 4, bool)), labels).unlearnable.tolist() == [0, 1, 0, 0]
    assert found.listed[Flag.MISLABELLED].tolist() == [1]


def test_runs_that_disagree_accuse_nobody() -> None:
    predicted = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1]])
    found = Cleaning.of(_runs(predicted=predicted), np.array([0, 1, 1, 1]))
    assert found.suspects.agreement[1] == 0.5
    assert not found.suspects.mislabelled.any()


def test_a_class_without_images_is_credited_with_none() -> None:
    shares = np.array([[0.2, 0.1, 0.7], [0.1, 0.2, 0.7]])
    predicted = np.array([[2, 2], [2, 2]])
    found = suspects(shares, np.array([0, 1]), predicted, np.array([[1, 0], [0, 1]], bool))
    assert not found.mislabelled.any()
    with pytest.raises(AnalysisError, match="did not train on it"):
        suspects(shares, np.array([0, 1]), predicted, np.ones((2, 2), bool))


def test_copies_of_one_image_are_one_entry_with_all_that_is_said_of_any() -> None:
    pixels = np.zeros((4, 1, 8, 8), np.uint8)
    pixels[2:] = 9
    labels = np.array([0, 1, 1, 1])
    options = small(images=LabelledImages(pixels, labels, 2))
    files = cleaning_files(Cleaning.of(_runs(learnt=np.array([[0, 1, 1, 1]] * 4, bool)), labels), options)
    (flags,) = (row["flags"] for row in json.loads(files[LISTED])["listed"].values())
    assert flags == ["mislabelled", "unlearnable"]
    assert len(files[TABLE].splitlines()) == 3


def test_lists_that_are_empty_leave_no_sheet() -> None:
    labels = np.array([0, 0, 1, 1])
    runs = _runs(learnt=np.ones((4, 4), bool))
    files = cleaning_files(
        Cleaning.of(runs, labels), small(images=LabelledImages(np.zeros((4, 1, 8, 8), np.uint8), labels, 2))
    )
    assert sorted(files) == [LISTED, TABLE]
    assert json.loads(files[LISTED])["listed"] == {}


def test_too_much_to_be_held_at_once_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.research.difficulty.parts_job.MAX_NUMBERS", 1000)
    with pytest.raises(AnalysisError, match="8 runs of each architecture"):
        study(workplace(tmp_path), small())
