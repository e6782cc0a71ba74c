"""Transfers of the digits bundle to retrained classifiers, each made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.embedded import LABELS
from tests.support import retraining
from tests.support.retraining import transfer_inputs, transferred

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from detector.transfer.inputs import TransferInputs
    from detector.transfer.pipeline import TransferResult

MAKERS = {
    "fine-tuned": retraining.fine_tuned,
    "trained further": retraining.trained_further,
    "another seed": retraining.another_seed,
    "another architecture": retraining.another_architecture,
    "broken": retraining.broken,
    "blinding": retraining.blinding,
    "disguised": retraining.disguised,
}


@pytest.fixture(scope="session")
def sample(digits: EmbeddedDefault, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits that neither the classifier nor its bundle has seen."""
    file = tmp_path_factory.mktemp("sample") / "sample.npz"
    assert digits.test.labels is not None
    np.savez(file, images=digits.test.pixels, labels=digits.test.labels, class_names=np.array(LABELS))
    return file


@pytest.fixture(scope="session")
def retrained(digits: EmbeddedDefault, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes classifiers, each once."""
    folder, made = tmp_path_factory.mktemp("retrained"), dict[str, "Path"]()

    def classifier(name: str) -> Path:
        if name == "same":
            return digits.gradients_file
        if name not in made:
            made[name] = MAKERS[name](digits, folder / f"{name.replace(' ', '-')}.pt2")
        return made[name]

    return classifier


@pytest.fixture(scope="session")
def inputs_for(
    digits: EmbeddedDefault, digits_bundle: Path, sample: Path, retrained: Callable[[str], Path]
) -> Callable[[str], TransferInputs]:
    """What a transfer to a classifier is about."""
    return lambda name: transfer_inputs(digits, digits_bundle, retrained(name), sample)


@pytest.fixture(scope="session")
def result_of(
    inputs_for: Callable[[str], TransferInputs], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], TransferResult]:
    """Carries the bundle over to a classifier, once."""
    folder, made = tmp_path_factory.mktemp("transferred"), dict[str, "TransferResult"]()

    def result(name: str) -> TransferResult:
        if name not in made:
            made[name] = transferred(inputs_for(name), folder / name.replace(" ", "-"))
        return made[name]

    return result
