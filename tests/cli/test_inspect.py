from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING

from detector.bundle import read_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Isthmus


def test_people_read_what_a_bundle_is(isthmus: Isthmus, digits_bundle: Path) -> None:
    told = isthmus("inspect", digits_bundle)
    bundle = read_bundle(digits_bundle)
    calibration = bundle.manifest.calibration
    facts = dict(line.split(maxsplit=1) for line in told.stdout.splitlines() if len(line.split()) > 1)
    assert told.exit_code == 0
    assert facts["digest"].strip() == bundle.digest
    assert facts["verified"].startswith("6 files intact, 16 canaries answered as at calibration, to ")
    assert facts["input"].startswith("8 x 8 GRAY, NCHW float32")
    assert facts["cost"].startswith("13 classifier forwards")
    assert facts["calibration"].startswith(
        f"500 held-out images; per predicted class at least {min(calibration.images_per_class)}"
    )
    counts = ", ".join(str(count) for count in calibration.images_per_stratum)
    assert facts["strata"].strip() == f"3 of difficulty (by margin), the easiest first: {counts}"
    assert facts["accuracy"].startswith(f"{calibration.accuracy:.1%}")
    assert "ADVERSARIAL at p <= 0.01" in facts["rates"]


def test_programs_read_the_manifest_whose_hash_is_the_digest(isthmus: Isthmus, digits_bundle: Path) -> None:
    told = isthmus("inspect", digits_bundle, "--json")
    assert hashlib.sha256(told.stdout_bytes).hexdigest() == read_bundle(digits_bundle).digest
    assert json.loads(told.stdout)["calibration"]["images"] == 500


def test_an_altered_bundle_is_refused_with_the_file(isthmus: Isthmus, digits_bundle: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered"
    shutil.copytree(digits_bundle, altered)
    with (altered / "scorer.onnx").open("ab") as file:
        file.write(b"\0")
    told = isthmus("inspect", altered)
    assert told.exit_code == 1
    assert told.stdout == ""
    assert "scorer.onnx: altered" in told.stderr


def test_no_bundle_is_one_line(isthmus: Isthmus, tmp_path: Path) -> None:
    told = isthmus("inspect", tmp_path / "nothing")
    assert told.exit_code == 1
    assert told.stderr == f"isthmus: {tmp_path / 'nothing'}: no such bundle folder\n"
