"""The deployed CIFAR-10 classifier with its units in another order: a residual network, whose scorer reads channels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.calibration.inputs import load_inputs
from detector.calibration.options import CalibrationOptions, ScorerChoice
from detector.calibration.pipeline import calibrate
from detector.classifiers.gradients import load_torch_source
from detector.classifiers.options import SpecOptions
from detector.classifiers.torch import TorchClassifier
from detector.cli.remote import load_detector
from detector.data.opening import open_images
from detector.data.source import read_all
from detector.prototypes.options import SynthesisOptions
from detector.research.permutation.architecture import program_of, state_under
from detector.research.permutation.spec import permuted, random_permutations
from detector.research.permutation.tracing import derive_spec
from detector.training.architectures import build_network
from detector.transfer.connection import ALIGNED, NAIVE
from detector.transfer.decision import Choice
from detector.transfer.evidence import Subject
from detector.transfer.inputs import load_transfer_inputs
from tests.support.calibrating import Recorder
from tests.support.retraining import QUICK, transferred

if TYPE_CHECKING:
    from pathlib import Path

    from detector.data.source import ImageSet

_PART = 1000
_QUICK = replace(QUICK, barrier_images=300, attack_images=30)


@pytest.mark.slow
def test_a_residual_network_in_disguise_keeps_its_calibration(shared_data: Path, tmp_path: Path) -> None:
    images = read_all(open_images(shared_data / "cifar10" / "test.zip"), (3, 32, 32), limit=2 * _PART)
    order = np.random.default_rng(0).permutation(len(images))
    deployed = shared_data / "classifiers" / "cifar10_resnet20.pt2"
    calibration = _saved(images.take(order[:_PART]), tmp_path / "calibration.npz")
    sample = _saved(images.take(order[_PART:]), tmp_path / "sample.npz")
    inputs = load_inputs(deployed, calibration, spec=SpecOptions(), progress=Recorder(), threads=1)
    options = CalibrationOptions(
        scorer=ScorerChoice.ONE_CLASS, prototypes=SynthesisOptions(per_class=1, steps=120), points=2
    )
    calibrate(inputs, options, tmp_path / "bundle", progress=Recorder())
    found = transferred(
        load_transfer_inputs(
            load_detector(tmp_path / "bundle", threads=1),
            _disguised(deployed, tmp_path / "disguised.pt2"),
            sample,
            spec=SpecOptions(),
            old_gradients=deployed,
            progress=Recorder(),
            threads=1,
        ),
        tmp_path / "carried over",
        options=_QUICK,
    )
    assert found.decision.choice is Choice.KEEP
    assert load_detector(tmp_path / "carried over", threads=1).classifier.tap_count > 0
    aligned, naive = (found.evidence.get(Subject.BARRIER, detail) for detail in (ALIGNED, NAIVE))
    assert aligned is not None
    assert naive is not None
    assert aligned.figure is not None
    assert naive.figure is not None
    assert aligned.figure < 0.02
    assert naive.figure > 0.3


def _saved(images: ImageSet, file: Path) -> Path:
    assert images.labels is not None
    assert images.class_names is not None
    np.savez(file, images=images.pixels, labels=images.labels, class_names=np.array(images.class_names))
    return file


def _disguised(deployed: Path, file: Path) -> Path:
    """The same function by this project's own network, its units in any order."""
    classifier = load_torch_source(deployed).classifier(SpecOptions())
    example = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network = build_network("resnet20-16", (3, 32, 32), 10, mean=(0.5,) * 3, std=(0.5,) * 3).eval()
    own = program_of(TorchClassifier(network, classifier.spec), example, name="own")
    state = state_under(own, program_of(classifier, example, name="deployed"), example)
    spec = derive_spec(own, example)
    moved = permuted(spec, state, random_permutations(spec, 1))
    network.load_state_dict({name.removeprefix("module."): value for name, value in moved.items()}, strict=False)
    program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, file)
    return file
