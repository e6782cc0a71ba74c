"""`isthmus transfer` to a classifier that another server runs, and from one: real servers, the digits guard."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector import Detector, read_bundle
from detector.bundle import write_bundle
from detector.classifiers.loading import load_classifier
from detector.cli.remote import load_detector
from tests.support import variants
from tests.support.oip_server import OipServer
from tests.support.remote import digits_model, remote_bundle
from tests.support.retraining import another_seed, trained_further

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

    from detector.embedded import EmbeddedDefault
    from tests.cli.conftest import Isthmus

    Carry = Callable[..., Result]

QUICK = ("--threads", "1", "--attack-images", "40", "--barrier-points", "5")


@pytest.fixture(scope="module")
def deployed(digits: EmbeddedDefault) -> Iterator[OipServer]:
    """Runs the bundle's own classifier."""
    with OipServer(digits.classifier_file) as server:
        yield server


@pytest.fixture(scope="module")
def program(digits: EmbeddedDefault, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier trained further, with gradients."""
    return trained_further(digits, tmp_path_factory.mktemp("further") / "further.pt2")


@pytest.fixture(scope="module")
def retrained(program: Path) -> Iterator[OipServer]:
    """Runs the classifier that was trained further."""
    graph = program.with_suffix(".onnx")
    graph.write_bytes(load_classifier(program, threads=1).model)
    with OipServer(graph) as server:
        yield server


@pytest.fixture
def carry(isthmus: Isthmus, digits_bundle: Path, sample: Path, tmp_path: Path) -> Carry:
    """Carries a bundle, the digits one unless told otherwise, over to a classifier; the new one is `new`."""

    def carried(to: object, *flags: object, old: Path = digits_bundle) -> Result:
        given = ("--from", old, "--to", to, "--images", sample, "--out", tmp_path / "new")
        return isthmus("transfer", *given, *QUICK, *flags)

    return carried


def _lines(told: Result) -> dict[str, str]:
    """What was told, by its first word; of evidence, by its name."""
    words = (line.split(maxsplit=1) for line in told.stdout.splitlines())
    return {rest.partition(": ")[0] if first == "evidence" else first: rest for first, rest in words}


def test_the_same_classifier_on_a_server_keeps_the_bundle_which_then_asks_there(
    carry: Carry, digits: EmbeddedDefault, digits_bundle: Path, deployed: OipServer, tmp_path: Path
) -> None:
    told = carry(f"grpc://{deployed.target}/digits?batch=50")
    assert told.exit_code == 0, told.output
    lines = _lines(told)
    assert lines["decision"] == "keep"
    assert "it is the same function" in lines["canaries"]
    assert "--gradients takes its .pt2 program" in lines["barrier"]
    assert f"no graph is to be had of grpc://{deployed.target}/digits" in lines["layers"]
    assert lines["detection"].endswith("the new classifier has no gradients")
    found = read_bundle(tmp_path / "new")
    assert found.parts.classifier is None
    assert found.manifest.remote == digits_model(deployed.target, batch=50)
    images = digits.test.pixels[:20]
    scored = load_detector(tmp_path / "new").score(images)
    np.testing.assert_allclose(scored.scores, Detector.load(digits_bundle).score(images).scores, rtol=1e-3)


def test_its_weights_are_compared_and_attacked_where_their_file_is_given(
    carry: Carry, digits: EmbeddedDefault, retrained: OipServer, program: Path, tmp_path: Path
) -> None:
    address = f"grpc://{retrained.target}/digits"
    told = carry(address, "--gradients", program, "--from-gradients", digits.gradients_file)
    assert told.exit_code == 0, told.output
    assert _lines(told)["decision"] == "re-threshold"
    assert "once the new one's units are put in the old one's order" in told.stdout
    assert "the bundle's scorer tells" in told.stdout
    assert load_detector(tmp_path / "new").bundle.manifest.remote == digits_model(retrained.target)


def test_without_its_file_thresholds_are_not_set_anew_and_the_command_names_the_address(
    carry: Carry, digits_bundle: Path, retrained: OipServer, tmp_path: Path
) -> None:
    whole = read_bundle(digits_bundle)
    hardened = replace(whole.manifest, provenance={"options": {"hardening_images": 9}}, files={})
    write_bundle(tmp_path / "hardened", hardened, whole.parts, attachments={})
    address = f"grpc://{retrained.target}/digits?batch=40"
    told = carry(address, old=tmp_path / "hardened")
    assert told.exit_code == 3, told.output
    assert not (tmp_path / "new").exists()
    assert "re-threshold: one of these would have to hold: the networks' weights can't be compared" in told.stdout
    words = shlex.split(_lines(told)["calibrate"])
    assert words[words.index("--classifier") + 1] == address
    assert "--harden" not in words, "there is no graph to harden"


def test_nothing_is_carried_over_to_another_network_and_calibrating_anew_asks_it(
    carry: Carry, digits: EmbeddedDefault, tmp_path: Path
) -> None:
    graph = tmp_path / "another.onnx"
    graph.write_bytes(load_classifier(another_seed(digits, tmp_path / "another.pt2"), threads=1).model)
    with OipServer(graph) as server:
        told = carry(f"grpc://{server.target}/digits", "--recalibrate")
        assert told.exit_code == 0, told.output
        assert _lines(told)["decision"] == "recalibrate"
        found = load_detector(tmp_path / "new").bundle.manifest
    assert found.remote == digits_model(server.target)
    assert found.provenance["prototypes"]["method"] == "medoids"


def test_a_scorer_that_reads_hidden_layers_cannot_be_carried_over_to_where_none_are_shown(
    carry: Carry, tapped: Path, deployed: OipServer
) -> None:
    told = carry(f"grpc://{deployed.target}/digits", old=tapped)
    assert told.exit_code == 3, told.output
    assert "it reads hidden layers, and the new classifier shows none" in _lines(told)["scorer"]


def test_images_are_sent_as_the_old_classifier_wanted_them(
    carry: Carry, digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    """Nothing that the server says tells that it takes 0..255."""
    graph = variants.levels(digits.classifier_file.read_bytes())
    whole = read_bundle(digits_bundle)
    manifest = replace(whole.manifest, spec=replace(whole.manifest.spec, value_range=(0.0, 255.0)), files={})
    write_bundle(tmp_path / "old", manifest, replace(whole.parts, classifier=graph), attachments={})
    (tmp_path / "levels.onnx").write_bytes(graph)
    with OipServer(tmp_path / "levels.onnx") as server:
        told = carry(f"grpc://{server.target}/digits", old=tmp_path / "old")
    assert told.exit_code == 0, told.output
    assert _lines(told)["decision"] == "keep"
    assert read_bundle(tmp_path / "new").manifest.spec.value_range == (0.0, 255.0)


def test_a_bundle_whose_classifier_runs_elsewhere_is_carried_over_to_a_file(
    carry: Carry, digits: EmbeddedDefault, digits_bundle: Path, deployed: OipServer, tmp_path: Path
) -> None:
    old = remote_bundle(digits_bundle, tmp_path / "old", digits_model(deployed.target))
    told = carry(digits.gradients_file, "--from-gradients", digits.gradients_file, old=old)
    assert told.exit_code == 0, told.output
    lines = _lines(told)
    assert lines["decision"] == "keep"
    assert "holds no graph" in lines["layers"]
    found = read_bundle(tmp_path / "new")
    assert found.manifest.remote is None
    assert found.parts.classifier is not None
    assert len(Detector.load(tmp_path / "new").score(digits.test.pixels[:2])) == 2


def test_a_classifier_that_was_replaced_where_it_runs_is_asked_for_elsewhere(  # noqa: PLR0917 - fixtures, by name
    carry: Carry,
    digits_bundle: Path,
    deployed: OipServer,
    retrained: OipServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = remote_bundle(digits_bundle, tmp_path / "old", digits_model(retrained.target))
    address = f"grpc://{retrained.target}/digits"
    refused = carry(address, old=old)
    assert refused.exit_code == 1
    assert "say which in ISTHMUS_UPSTREAM_TARGET" in refused.stderr
    monkeypatch.setenv("ISTHMUS_UPSTREAM_TARGET", deployed.target)
    told = carry(address, old=old)
    assert told.exit_code == 3, told.output
    assert "it is another function" in _lines(told)["canaries"]


@pytest.mark.parametrize(("path", "complaint"), [("nobody", "unknown model: 'nobody'"), ("", "names no model")])
def test_a_model_that_is_not_there_is_one_line(
    carry: Carry, deployed: OipServer, tmp_path: Path, path: str, complaint: str
) -> None:
    told = carry(f"grpc://{deployed.target}/{path}")
    assert told.exit_code == 1
    (line,) = told.stderr.strip().splitlines()
    assert line.startswith("isthmus: ")
    assert complaint in line
    assert not list(tmp_path.iterdir())
