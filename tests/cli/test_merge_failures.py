from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.classifiers.export import export_program
from detector.classifiers.torch import TorchClassifier
from tests.research.permutation.merging_support import SPEC, classifier
from tests.research.permutation.networks import mlp

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from tests.cli.conftest import Isthmus


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "images.npz",
        images=rng.integers(0, 256, (40, 8, 8, 1)).astype(np.uint8),
        labels=np.arange(40) % 10,
    )
    return tmp_path / "images.npz"


@pytest.fixture
def network(tmp_path: Path) -> Path:
    export_program(classifier(0), tmp_path / "a.pt2")
    return tmp_path / "a.pt2"


@pytest.fixture
def given(network: Path, images: Path, tmp_path: Path) -> tuple[object, ...]:
    """What the command needs."""
    return ("--networks", network, "--networks", network, "--images", images, "--out", tmp_path / "out")


def _refused(told: Result, message: str) -> None:
    assert told.exit_code != 0
    assert message in " ".join(told.stderr.split())


def test_one_network_is_not_merged(isthmus: Isthmus, network: Path, images: Path, tmp_path: Path) -> None:
    told = isthmus("merge", "--networks", network, "--images", images, "--out", tmp_path / "out")
    _refused(told, "2 to 16 are taken, not 1")
    assert not (tmp_path / "out").exists()


def test_another_architecture_is_refused_by_the_files_name(
    isthmus: Isthmus, network: Path, images: Path, tmp_path: Path
) -> None:
    other = tmp_path / "wider.pt2"
    export_program(TorchClassifier(mlp(13, 9), SPEC), other)
    told = isthmus("merge", "--networks", network, "--networks", other, "--images", images, "--out", tmp_path / "out")
    _refused(told, f"{other}: this network and the first can't be merged")
    _refused(told, "1.weight has the shape (12, 64), and the other's 1.weight (13, 64)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--no-merged",), "nothing to write"),
        (("--reference", 3), "reference: there are 2 networks, and no number 3"),
        (("--shares", "0.5,0.6"), "none negative and 1 in all"),
        (("--shares", "0.5,0.2,0.3"), "one for each of 2 networks"),
        (("--shares", "a,b"), "--shares: numbers separated by commas"),
        (("--repeat", "--by", "activations"), "by weights alone"),
        (("--size", "9x9"), "takes (1, 8, 8)"),
        (("--limit", 19), "at least 20 are needed, not 19"),
        (("--images", "nowhere.zip"), "nowhere.zip"),
        (("--networks", "grpc://localhost:8001/resnet"), "give the file that runs there"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    isthmus: Isthmus, given: tuple[object, ...], tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    _refused(isthmus("merge", *given, *options), message)
    assert not (tmp_path / "out").exists()


def test_images_without_labels_are_refused(isthmus: Isthmus, network: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "bare.npz", images=np.zeros((40, 8, 8, 1), np.uint8))
    given = ("--networks", network, "--networks", network, "--images", tmp_path / "bare.npz")
    _refused(isthmus("merge", *given, "--out", tmp_path / "out"), "no labels, and merging is judged by accuracy")


def test_a_folder_that_cannot_be_made_is_told(isthmus: Isthmus, given: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    _refused(isthmus("merge", *given, "--points", 2, "--restarts", 1), "can't be written")
