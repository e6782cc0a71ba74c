"""Pairs of every kind: directions of the paper on digits, and on MNIST where digits are too easy (methods A.6.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.metrics import auroc
from detector.paths.curves import loss_curves
from detector.paths.samples import Measure, averaged
from detector.research.connectivity.kinds import Kind, measure
from detector.research.connectivity.material import PairMaterial
from detector.research.connectivity.options import ConnectivityOptions
from detector.research.connectivity.walks import Pulled, pull_job
from detector.research.studies import Workplace
from detector.shards.base import LocalRunner, Models
from detector.shards.jobs import run_jobs
from detector.shards.stages import StageStore
from tests.support.calibrating import Recorder
from tests.support.connecting import OPTIONS
from tests.support.mnist import mnist_inputs

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.research.analysis import Analysis


def workplace(inputs: CalibrationInputs, folder: Path) -> Workplace:
    runner = LocalRunner(Models(inputs.loaded.classifier, inputs.gradients))
    return Workplace(inputs, StageStore(folder, inputs.identity()), runner, Recorder(), folder)


@pytest.fixture(scope="module")
def material(inputs: CalibrationInputs, analysed: tuple[Path, Analysis]) -> PairMaterial:
    """What the analysis was made of, found in its folder."""
    return PairMaterial(workplace(inputs, analysed[0] / ".work"), OPTIONS)


@pytest.fixture(scope="module")
def figures(analysed: tuple[Path, Analysis]) -> dict[str, Any]:
    study = next(study for study in analysed[1].studies if study.name == "pairs")
    return dict(study.figures)


def test_every_kind_of_pair_is_measured(figures: dict[str, Any]) -> None:
    assert list(figures["kinds"]) == [kind.value for kind in Kind]
    for kind, one in figures["kinds"].items():
        assert 2 <= one["pairs"] <= one["tried"], kind
        assert one["measures"]["gap"]["mean"]["low"] >= 0
    assert figures["kinds"]["synthetic-synthetic"]["pairs"] == 10 * 6  # of four prototypes of ten classes
    assert "rounded" in figures["kinds"][Kind.ROUNDED]["made by"]
    assert figures["kinds"][Kind.BOUNDED]["made by"].startswith("PGD-Linf-")


def test_gaps_of_adversarial_pairs_are_larger_also_with_ends_set_aside(figures: dict[str, Any]) -> None:
    gaps = {kind: one["measures"]["gap"]["mean"] for kind, one in figures["kinds"].items()}
    assert gaps[Kind.PAPER]["value"] > 2 * gaps[Kind.REAL]["value"]
    for view, one in figures["beside real-real"][Kind.PAPER].items():
        assert one["measures"]["gap"]["auroc"]["value"] > 0.6, view
    # Another class's content does not do it: the same pairs before the attack only rise towards the other end.
    assert gaps[Kind.TWO_CLASSES]["high"] < gaps[Kind.PAPER]["low"]
    assert figures["kinds"][Kind.TWO_CLASSES]["position"]["median"]["value"] > 0.9


def test_pairs_are_what_they_are_said_to_be(material: PairMaterial) -> None:
    labels, predicted = material.labels, material.predicted
    assert (labels[material.first] == labels[material.second]).all()
    assert (
        predicted[np.r_[material.first, material.second, material.others]]
        == labels[np.r_[material.first, material.second, material.others]]
    ).all()
    assert (labels[material.others] != material.classes).all()
    assert len(np.unique(np.r_[material.first, material.second])) == 2 * len(material)
    assert np.bincount(material.classes).tolist() == [4] * 10


def test_the_attack_moves_images_to_the_class_of_their_pair(material: PairMaterial) -> None:
    moved = material.paper
    logits = material.inputs.loaded.classifier.logits(moved.images[moved.rows])
    assert (np.argmax(logits, axis=1) == material.classes[moved.rows]).all()
    assert len(moved.rows) > 0.8 * len(material)
    assert moved.images.min() >= 0
    assert moved.images.max() <= 1
    levels = material.rounded.images[material.rounded.rows] * 255
    np.testing.assert_allclose(levels, levels.round(), atol=1e-4)


def test_a_path_to_anchors_begins_at_the_image_and_ends_at_its_own_prototypes(material: PairMaterial) -> None:
    """Each kind of curve ends where the classifier, asked alone, has the same loss."""
    measured = measure(material)
    prototypes = material.prototypes(smooth=False)
    rows = np.arange(len(material))
    own = prototypes[material.classes, rows % OPTIONS.prototypes]
    alone = loss_curves(
        material.inputs.loaded.classifier, material.images(material.second), own, material.classes, points=2
    )
    rough = measured.kinds[Kind.ROUGH].sample
    np.testing.assert_allclose(rough.first, alone.losses[:, 0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(rough.second, alone.losses[:, 1], rtol=1e-3, atol=1e-5)
    assert [one.anchors for one in measured.anchors] == [
        "1 real image",
        "2 rough prototypes, averaged",
        "2 smooth prototypes, averaged",
    ]


@pytest.mark.slow
def test_from_prototypes_the_gap_tells_the_papers_attack_but_not_pgd(shared_data: Path, tmp_path: Path) -> None:
    """On MNIST, the attack without its early stop, as in the replication (methods A.5)."""
    inputs = mnist_inputs(shared_data, tmp_path)
    place = workplace(inputs, tmp_path / "work")
    material = PairMaterial(place, ConnectivityOptions(pairs=100))
    rows = np.arange(len(material))

    def part(some: slice) -> Pulled:
        never = np.zeros(len(rows[some]), np.float32)
        return Pulled(material.images(material.others[some]), material.classes[some], never)

    ((_, arrays),) = run_jobs([pull_job(len(rows), 170, part)], place.runner, Recorder())
    success = np.flatnonzero(arrays["predicted"] == material.classes)
    assert len(success) > 95
    prototypes, per_class = material.prototypes(smooth=False), material.options.prototypes

    def gaps(images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        ends = prototypes[classes].reshape(-1, *images.shape[1:])
        starts, own = images.repeat(per_class, axis=0), classes.repeat(per_class)
        curves = loss_curves(inputs.loaded.classifier, starts, ends, own, points=51)
        return averaged(curves, per_class)[Measure.GAP]

    real = gaps(material.images(material.second), material.classes)
    paper = auroc(real, gaps(arrays["images"][success], material.classes[success]))
    strong = auroc(real, gaps(material.pgd.images[material.pgd.rows], material.classes[material.pgd.rows]))
    assert paper > 0.85
    assert strong < paper - 0.1


@pytest.mark.slow
def test_attacks_raise_the_gap_on_cifar10(shared_data: Path, tmp_path: Path) -> None:
    from detector.calibration.inputs import load_inputs
    from detector.classifiers.options import SpecOptions

    network = shared_data / "classifiers" / "cifar10_resnet20"
    inputs = load_inputs(
        network.with_suffix(".onnx"),
        shared_data / "cifar10" / "test.zip",
        spec=SpecOptions(),
        gradients=network.with_suffix(".pt2"),
        progress=Recorder(),
        limit=1000,
        taps=False,
    )
    options = replace(ConnectivityOptions.small(), attack_steps=256)
    measured = measure(PairMaterial(workplace(inputs, tmp_path), options))
    gaps = {kind: curved.sample.gaps for kind, curved in measured.kinds.items()}
    assert gaps[Kind.PAPER].mean() > gaps[Kind.REAL].mean()
    assert auroc(gaps[Kind.REAL], gaps[Kind.PAPER]) > 0.6
