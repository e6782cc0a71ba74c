"""Bundles that read hidden paths: carried over with their statistics, or not read where the taps are others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.bundle import write_bundle
from detector.scoring.hidden_paths import hidden_path_names
from detector.transfer.measuring import TransferMeasurements
from detector.transfer.options import TransferOptions
from tests.support.calibrating import Recorder
from tests.support.guards import TAPPED, guarded
from tests.support.retraining import transfer_inputs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector.embedded import EmbeddedDefault


@pytest.fixture(scope="module")
def hidden(digits: EmbeddedDefault, digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that reads hidden paths."""
    folder = tmp_path_factory.mktemp("hidden") / "bundle"
    bundle = guarded(digits, digits_bundle, TAPPED, hidden=True).bundle
    write_bundle(folder, bundle.manifest, bundle.parts, attachments={})
    return folder


def _measured(
    digits: EmbeddedDefault, bundle: Path, classifier: Path, sample: Path, folder: Path
) -> TransferMeasurements:
    return TransferMeasurements(
        transfer_inputs(digits, bundle, classifier, sample), TransferOptions(), folder, Recorder()
    )


def test_the_same_classifier_is_scored_as_before(
    digits: EmbeddedDefault, hidden: Path, retrained: Callable[[str], Path], sample: Path, tmp_path: Path
) -> None:
    measured = _measured(digits, hidden, retrained("same"), sample, tmp_path)
    assert measured.misfit is None
    assert measured.old.scores is not None
    assert measured.new.scores is not None
    np.testing.assert_allclose(measured.new.scores, measured.old.scores, rtol=1e-3, atol=1e-3)


def test_other_taps_are_said_not_to_fit_and_no_hidden_path_is_read_from_them(
    digits: EmbeddedDefault, hidden: Path, retrained: Callable[[str], Path], sample: Path, tmp_path: Path
) -> None:
    measured = _measured(digits, hidden, retrained("another architecture"), sample, tmp_path)
    statistics, taps = measured.bundle.parts.statistics, measured.inputs.classifier.tap_count
    assert statistics is not None
    assert statistics.numbers != taps
    assert measured.misfit is not None
    assert f"hidden paths are read from {statistics.numbers} numbers of taps" in measured.misfit
    assert measured.new.scores is None
    points = len(TAPPED.tapped_points)
    read = len(hidden_path_names(TAPPED, len(statistics.sizes)))
    apart = measured.old.features.shape[1] - measured.new.features.shape[1]
    assert apart == read + (statistics.numbers - taps) * points
