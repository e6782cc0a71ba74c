"""A classifier behind another server, from the command line: calibrated, inspected, scored with."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from detector import read_bundle
from detector.cli.main import app
from tests.support.oip_server import OipServer
from tests.support.variants import nhwc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

    from detector.embedded import EmbeddedDefault
    from tests.cli.conftest import Isthmus

NOBODY = "127.0.0.1:9"
LITTLE = ("--prototypes", "1", "--runner-ups", "0", "--points", "2", "--prototype-steps", "5", "--threads", "1")


@pytest.fixture(scope="module")
def upstream(digits: EmbeddedDefault, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OipServer]:
    file = tmp_path_factory.mktemp("deployed") / "nhwc.onnx"
    file.write_bytes(nhwc(digits.classifier_file.read_bytes()))
    with OipServer(file) as server:
        yield server


def _calibrated(digits: EmbeddedDefault, upstream: OipServer, out: Path, *flags: object, query: str = "") -> Result:
    address = f"grpc://{upstream.target}/digits{query}"
    given = ("--classifier", address, "--images", digits.images_file, "--out", out)
    return CliRunner().invoke(app, ["calibrate", *map(str, (*LITTLE, *given, *flags))])


@pytest.fixture(scope="module")
def bundle(digits: EmbeddedDefault, upstream: OipServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibrated without gradients."""
    out = tmp_path_factory.mktemp("remote") / "bundle"
    done = _calibrated(digits, upstream, out)
    assert done.exit_code == 0, done.output
    assert "medoids" in done.stderr
    assert "'logits' is asked for, of up to 32 images at once" in " ".join(done.stderr.split())
    return out


def test_the_bundle_names_the_endpoint_and_holds_no_classifier(bundle: Path, upstream: OipServer) -> None:
    found = read_bundle(bundle)
    assert found.manifest.remote is not None
    assert found.manifest.remote.target == upstream.target
    assert found.manifest.spec.layout == "NHWC"
    assert found.parts.classifier is None
    assert "classifier.onnx" not in {file.name for file in bundle.iterdir()}
    assert found.manifest.provenance["prototypes"]["method"] == "medoids"
    assert found.manifest.calibration.scorer == "one-class"
    assert found.manifest.plan.tapped == ()


def test_no_token_is_in_the_bundle(
    digits: EmbeddedDefault, upstream: OipServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("hush-hush\n")
    monkeypatch.setenv("ISTHMUS_UPSTREAM_TOKEN_FILE", str(tmp_path / "token"))
    upstream.metadata.clear()
    assert _calibrated(digits, upstream, tmp_path / "out", "--limit", 400).exit_code == 0
    assert {call["authorization"] for call in upstream.metadata} == {"Bearer hush-hush"}
    assert not any(b"hush-hush" in file.read_bytes() for file in (tmp_path / "out").iterdir())


def test_gradients_from_a_file_give_synthetic_prototypes(
    digits: EmbeddedDefault, upstream: OipServer, tmp_path: Path
) -> None:
    flags = ("--gradients", digits.gradients_file, "--scorer", "one-class", "--limit", 400)
    done = _calibrated(digits, upstream, tmp_path / "out", *flags, query="?batch=50")
    assert done.exit_code == 0, done.output
    found = read_bundle(tmp_path / "out").manifest
    assert found.provenance["prototypes"]["method"] == "synthesised"
    assert found.remote is not None
    assert found.remote.batch == 50


def test_people_read_where_it_runs(isthmus: Isthmus, bundle: Path, upstream: OipServer) -> None:
    told = isthmus("inspect", bundle)
    assert told.exit_code == 0, told.output
    assert re.search(rf"^classifier +runs at grpc://{upstream.target}/digits, 32 images", told.stdout, re.MULTILINE)
    assert "canaries answered as at calibration" in told.stdout


def test_it_scores_files_here_with_the_classifier_there(
    isthmus: Isthmus, bundle: Path, digits: EmbeddedDefault, tmp_path: Path
) -> None:
    np.savez(tmp_path / "images.npz", images=digits.test.pixels[:12])
    told = isthmus("score", "--bundle", bundle, tmp_path / "images.npz", "--format", "csv")
    assert told.exit_code == 0, told.output
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    assert len(rows) == 12
    assert digits.test.labels is not None
    right = [row["prediction"] == str(label) for row, label in zip(rows, digits.test.labels[:12], strict=True)]
    assert sum(right) >= 10


def test_the_environment_says_where_it_runs_by_now(
    isthmus: Isthmus, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISTHMUS_UPSTREAM_TARGET", NOBODY)
    monkeypatch.setenv("ISTHMUS_UPSTREAM_RETRIES", "0")
    told = isthmus("inspect", bundle, "--json")
    assert told.exit_code == 1
    assert told.stderr.splitlines()[-1].startswith(f"isthmus: {NOBODY}, ServerReady: UNAVAILABLE")
    monkeypatch.setenv("ISTHMUS_UPSTREAM_TIMEOUT", "-1")
    assert "upstream_timeout: " in isthmus("inspect", bundle).stderr


def test_the_manifest_is_printed_with_its_endpoint(isthmus: Isthmus, bundle: Path, upstream: OipServer) -> None:
    told = json.loads(isthmus("inspect", bundle, "--json").stdout)
    assert told["remote"] == {
        "target": upstream.target,
        "tls": False,
        "model": "digits",
        "version": "",
        "input": "deployed_images",
        "output": "logits",
        "batch": 32,
        "fixed_batch": False,
    }


def test_what_needs_the_graph_itself_says_so(
    isthmus: Isthmus, bundle: Path, digits: EmbeddedDefault, upstream: OipServer, tmp_path: Path
) -> None:
    exported = isthmus("export", bundle, "--out", tmp_path / "models")
    assert exported.exit_code == 1
    assert "holds no graph of it" in exported.stderr
    address = f"grpc://{upstream.target}/digits"
    given = ("--classifier", address, "--images", digits.images_file, "--out", tmp_path / "out")
    evaluated = isthmus("evaluate", *given)
    assert evaluated.exit_code == 1
    assert "give the file that runs there" in evaluated.stderr
    hardened = isthmus("calibrate", *given, "--harden", 10)
    assert hardened.exit_code == 1
    assert "--harden takes the classifier's own graph apart" in hardened.stderr


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        (f"grpc://{NOBODY}/digits", "UNAVAILABLE"),
        ("grpc://127.0.0.1/digits", "names host and port"),
        (f"grpc://{NOBODY}", "names no model"),
    ],
)
def test_a_wrong_address_is_one_line(
    isthmus: Isthmus, digits: EmbeddedDefault, tmp_path: Path, address: str, complaint: str
) -> None:
    told = isthmus("calibrate", "--classifier", address, "--images", digits.images_file, "--out", tmp_path / "out")
    assert told.exit_code == 1
    assert re.search(f"^isthmus: .*{complaint}", told.stderr, re.MULTILINE)
