"""`isthmus transfer`: a bundle for a retrained classifier, or a command, an exit code, and reasons for either."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import numpy as np

from detector import Detector, read_bundle
from tests.support.retraining import another_seed, disguised

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from tests.cli.conftest import Isthmus

QUICK = ("--threads", "1", "--attack-images", "40", "--barrier-points", "5")


def test_a_network_in_disguise_keeps_a_bundle_that_reads_its_channels_once_they_are_put_in_order(
    isthmus: Isthmus, digits: EmbeddedDefault, tapped: Path, sample: Path, tmp_path: Path
) -> None:
    given = ("--from", tapped, "--to", disguised(digits, tmp_path / "disguised.pt2"), "--images", sample)
    known = ("--from-gradients", digits.gradients_file, *QUICK)
    told = isthmus("transfer", *given, *known, "--out", tmp_path / "new")
    assert told.exit_code == 0, told.output
    assert "decision    keep" in told.stdout
    detector = Detector.load(tmp_path / "new")
    assert detector.classifier.tap_count == Detector.load(tapped).classifier.tap_count > 0
    images = digits.test.pixels[:30]
    np.testing.assert_allclose(detector.score(images).scores, Detector.load(tapped).score(images).scores, rtol=1e-2)
    inspected = isthmus("inspect", tmp_path / "new")
    assert f"keep, from bundle {read_bundle(tapped).digest}" in inspected.stdout
    assert "its units stand where the old classifier's do" in inspected.stdout
    assert "logits of the bundle's 16 stored images differ by" in inspected.stdout

    left = isthmus("transfer", *given, *known, "--no-align", "--out", tmp_path / "left")
    assert "decision    keep" not in left.stdout
    assert "against     keep: rate: SUSPECT would have to be" in left.stdout

    again = isthmus("transfer", "--from", tmp_path / "new", *given[2:], *known, "--out", tmp_path / "third")
    assert again.exit_code == 0, again.output
    record = read_bundle(tmp_path / "third").manifest.provenance["transfer"]
    assert [record["from"], *record["before"]] == [read_bundle(tmp_path / "new").digest, read_bundle(tapped).digest]


def test_where_nothing_is_carried_over_it_says_how_to_calibrate_and_exits_so(
    isthmus: Isthmus, digits: EmbeddedDefault, digits_bundle: Path, sample: Path, tmp_path: Path
) -> None:
    classifier = another_seed(digits, tmp_path / "another seed.pt2")
    out = tmp_path / "new"
    told = isthmus("transfer", "--from", digits_bundle, "--to", classifier, "--images", sample, "--out", out, *QUICK)
    assert told.exit_code == 3, told.output
    assert not out.exists()
    lines = dict(line.split(maxsplit=1) for line in told.stdout.splitlines())
    assert lines["decision"] == "recalibrate"
    figures = json.loads((tmp_path / "new-transfer" / "transfer.json").read_text())
    assert figures["bundle"] is None
    assert figures["calibrate"] == lines["calibrate"]
    words = shlex.split(lines["calibrate"])
    assert words[words.index("--classifier") + 1] == str(classifier)
    assert words[words.index("--images") + 1] == str(sample)


def test_a_bundle_that_is_none_is_one_line(isthmus: Isthmus, sample: Path, tmp_path: Path) -> None:
    told = isthmus("transfer", "--from", tmp_path, "--to", "x.onnx", "--images", sample, "--out", tmp_path / "new")
    assert told.exit_code == 1
    assert told.stderr == f"isthmus: {tmp_path / 'manifest.json'}: missing\n"


def test_wrong_bars_are_told_at_once(isthmus: Isthmus, sample: Path, tmp_path: Path) -> None:
    given = ("--from", tmp_path, "--to", "x.onnx", "--images", sample, "--out", tmp_path / "new")
    told = isthmus("transfer", *given, "--kept", "95")
    assert told.exit_code == 1
    assert told.stderr == "isthmus: transfer: kept_share must lie between 0 and 1, not 95.0\n"
