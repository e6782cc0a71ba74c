"""`isthmus client` against a real server: the same answers as `isthmus score` gives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.bundle import read_bundle
from tests.support.commands import finished
from tests.support.pictures import bomb, encoded, write

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault


@pytest.fixture
def inputs(digits: EmbeddedDefault, tmp_path: Path) -> list[str]:
    """A folder with bad files among good ones, a single file, and an .npz."""
    files = {f"{index:03}.png": encoded(pixels) for index, pixels in enumerate(digits.test.pixels[:70])}
    bad = {"005-broken.png": b"not an image", "006-bomb.png": bomb(50_000, 50_000)}
    folder = write(tmp_path / "photos", files | bad)
    np.savez(tmp_path / "few.npz", images=digits.test.pixels[70:75])
    return [str(folder), str(folder / "001.png"), str(tmp_path / "few.npz"), str(tmp_path / "nowhere")]


def test_client_and_score_agree(served: str, inputs: list[str], digits_bundle: Path) -> None:
    asked = finished("client", served, *inputs, "--format", "json")
    scored = finished("score", "--bundle", str(digits_bundle), *inputs, "--format", "json")
    assert asked.returncode == scored.returncode == 0
    ours, theirs = json.loads(scored.stdout), json.loads(asked.stdout)
    assert [row["image"] for row in ours] == [row["image"] for row in theirs]
    assert len(ours) == 70 + 2 + 1 + 5 + 1
    for own, other in zip(ours, theirs, strict=True):
        assert (own["error"] is None) == (other["error"] is None), (own, other)
        assert (own["prediction"], own["verdict"]) == (other["prediction"], other["verdict"])
        if own["error"] is None:
            assert other["score"] == pytest.approx(own["score"], rel=1e-3, abs=1e-4)
            assert other["p_value"] == pytest.approx(own["p_value"], abs=2e-3)
    assert "3 could not be scored" in asked.stderr


def test_the_errors_of_the_server_name_no_places_in_requests(served: str, inputs: list[str]) -> None:
    asked = finished("client", served, inputs[0], "--format", "json")
    errors = [row["error"] for row in json.loads(asked.stdout) if row["error"]]
    assert len(errors) == 2
    assert not any("images[" in error for error in errors)


def test_the_server_describes_itself(served: str, digits_bundle: Path) -> None:
    told = finished("client", served, "--describe", "--format", "json")
    described = json.loads(told.stdout)
    manifest = read_bundle(digits_bundle).manifest
    assert described["bundle_digest"] == read_bundle(digits_bundle).digest
    assert described["labels"] == list(manifest.labels)
    assert described["forwards_per_image"] == manifest.plan.forwards_per_image
    people = finished("client", served, "--describe")
    assert described["bundle_digest"] in people.stdout
    assert "13 classifier forwards per image" in people.stdout


def test_no_server_is_one_line() -> None:
    told = finished("client", "127.0.0.1:1", "photo.png")
    assert told.returncode == 1
    assert told.stdout == ""
    assert told.stderr.startswith("isthmus: no server is ready at 127.0.0.1:1 (")
    assert told.stderr.count("\n") == 1
    assert "isthmus serve --bundle" in told.stderr


def test_nothing_to_score_is_a_usage_error() -> None:
    told = finished("client", "photos")
    assert told.returncode == 2
    assert "'photos' was taken for it" in told.stderr
