"""Attacked images at every layer, of networks trained here and of a classifier that is given."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.classifiers.loading import LoadedClassifier
from detector.embedded import labelled_digits
from detector.errors import AnalysisError
from detector.reporting.document import document
from detector.reporting.parts import paragraph
from detector.research.representation import classifier_study
from detector.research.representation.attacked_study import AttackedOptions, study
from detector.research.representation.classifier_study import ClassifierOptions
from detector.research.representation.kinds import Maps
from detector.research.representation.onnx_layers import OnnxLayers
from detector.research.representation.parting import NOISE, Attacks
from detector.research.representation.path_geometry import PathGeometry, path_geometry
from detector.research.representation.probe import Probe
from detector.research.representation.spaces.registry import space_named
from detector.research.representation.study_options import training
from detector.research.studies import Workplace
from detector.shards.base import LocalRunner, Models
from detector.shards.stages import StageStore
from detector.training.data import LabelledImages
from tests.support.calibrating import Recorder, unlabelled
from tests.support.permuting import workplace

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.research.studies import Study

OPTIONS = AttackedOptions(
    images=labelled_digits().take(range(700)),
    networks=training(10, 5e-3),
    depth=1,
    width=24,
    seeds=2,
    inputs=60,
    levels=40,
)
GIVEN = ClassifierOptions(inputs=80, space=space_named("angular-cka"), maps=Maps.FLAT, levels=24, seed=0)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(workplace(tmp_path_factory.mktemp("attacked")), OPTIONS)


def _given(folder: Path, inputs: CalibrationInputs) -> Workplace:
    runner = LocalRunner(Models(inputs.loaded.classifier, inputs.gradients))
    return Workplace(inputs, StageStore(folder / "stages", {}), runner, Recorder(), folder)


def test_attacks_move_the_end_further_than_noise_of_their_size(found: Study) -> None:
    figures = json.loads(json.dumps(found.figures, allow_nan=False))
    fgsm, pgd, noise = figures["parted"]
    assert noise == NOISE
    right = figures["classified correctly"]
    assert np.mean(right[pgd]) < np.mean(right[fgsm]) + 0.05
    assert np.mean(right[fgsm]) < np.mean(right[NOISE]) - 0.1
    assert found.arrays["parted"].shape == (2, 3, 5)
    parted = found.arrays["parted"].mean(0)
    assert parted[1, -1] > parted[2, -1]
    assert (parted[:, 0] > 0).all()  # the images themselves are moved, too
    assert figures["two seeds"][0][0] == pytest.approx(0, abs=1e-9)
    assert np.mean(figures["end to target"][pgd]) > found.arrays["to_target"][:, -1].mean()


def test_layers_beyond_two_seeds_are_those_where_attacks_part_more(found: Study) -> None:
    parted, two = found.arrays["parted"].mean(0), np.diagonal(found.arrays["pairs"][:, 0], axis1=1, axis2=2).mean(0)
    names = np.array(found.figures["points"])
    for place, kind in enumerate(list(found.figures["parted"])[:2]):
        wanted = [name for name in names[parted[place] > two] if name != "input"]
        assert found.figures["layers beyond"][kind] == wanted
    assert len(found.claims) == 2
    page = document("Attacked", paragraph("all of it"), found.sections)
    assert page.count("<svg") == len(found.charts) == 1


def test_noise_is_of_the_attacks_size_and_on_levels() -> None:
    images = OPTIONS.images.canonical[:20]
    moved = Attacks(8).noisy(images)
    assert np.abs(moved - images).max() <= 8.5 / 255
    assert moved.min() >= 0
    assert moved.max() <= 1
    np.testing.assert_allclose(moved * 255, np.rint(moved * 255), atol=1e-4)
    np.testing.assert_array_equal(moved, Attacks(8).noisy(images))
    assert (moved != Attacks(8, seed=1).noisy(images)).any()


def test_budgets_out_of_range_are_refused() -> None:
    for levels in (0, -1, 256):
        with pytest.raises(AnalysisError, match="levels must lie"):
            Attacks(levels)


def test_a_given_classifiers_path_is_that_of_its_graph(inputs: CalibrationInputs, tmp_path: Path) -> None:
    found = classifier_study.study(_given(tmp_path, inputs), GIVEN)
    images = LabelledImages.of(inputs.images, 10).head(80)
    probe = Probe(images, GIVEN.space)
    loaded = inputs.loaded
    assert isinstance(loaded, LoadedClassifier)
    network = OnnxLayers(loaded.model, loaded.classifier)
    wanted = path_geometry(probe.path(network), GIVEN.space)
    measured = PathGeometry.from_arrays(found.arrays, 0)
    np.testing.assert_allclose(measured.steps, wanted.steps, atol=1e-6)
    np.testing.assert_allclose(measured.to_target, wanted.to_target, atol=1e-6)
    figures = json.loads(json.dumps(found.figures, allow_nan=False))
    assert figures["path"]["slack"] == pytest.approx(wanted.slack)
    assert figures["compared with"] == NOISE
    assert figures["two seeds"] is None
    assert found.missing == ()
    assert len(found.claims) == 3
    assert document("Given", paragraph("all of it"), found.sections).count("<svg") == 1


def test_without_gradients_there_is_noise_alone_and_it_is_said(inputs: CalibrationInputs, tmp_path: Path) -> None:
    found = classifier_study.study(_given(tmp_path, replace(inputs, gradients=None)), GIVEN)
    assert list(found.figures["parted"]) == [NOISE]
    assert found.missing == ("without gradients there are no attacks: pass --gradients",)


def test_what_cannot_be_studied_is_refused_with_the_reason(inputs: CalibrationInputs, tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="have no labels"):
        classifier_study.study(_given(tmp_path, unlabelled(inputs)), GIVEN)
    with pytest.raises(AnalysisError, match="there is no classifier"):
        classifier_study.study(workplace(tmp_path), GIVEN)
