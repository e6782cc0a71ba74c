"""`isthmus demo` as a newcomer runs it."""

from __future__ import annotations

import re
import signal
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from detector.bundle import read_bundle
from tests.support.commands import finished, started

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "out"


@pytest.fixture(scope="module")
def shown(out: Path) -> subprocess.CompletedProcess[str]:
    return finished("demo", "--out", str(out), timeout=180)


def flagged(text: str, kind: str) -> float:
    found = re.search(rf"^{kind} .* (\d+\.\d)% flagged", text, re.MULTILINE)
    assert found, text
    return float(found[1])


def test_it_succeeds_and_shows_a_verdict_per_image(shown: subprocess.CompletedProcess[str]) -> None:
    assert shown.returncode == 0, shown.stderr
    rows = re.findall(
        r"^test\[(\d+)\] +(clean|noisy|attacked) +\d +\d +\d+\.\d\d +[01]\.\d{4} +(?:BENIGN|SUSPECT|ADVERSARIAL) *$",
        shown.stdout,
        re.MULTILINE,
    )
    kinds = {kind: [image for image, of in rows if of == kind] for kind in ("clean", "noisy", "attacked")}
    assert kinds["clean"] == kinds["noisy"] == kinds["attacked"]
    assert len(kinds["clean"]) >= 8
    assert "stopped     by SIGTERM, exit code 0" in shown.stdout


def test_attacked_digits_are_flagged_far_more_often_than_others(shown: subprocess.CompletedProcess[str]) -> None:
    assert flagged(shown.stdout, "clean") <= 10
    assert flagged(shown.stdout, "attacked") >= 3 * flagged(shown.stdout, "clean")
    assert flagged(shown.stdout, "attacked") >= 2 * flagged(shown.stdout, "noisy")


def test_the_metrics_count_what_was_sent(shown: subprocess.CompletedProcess[str], out: Path) -> None:
    sent = sum(map(int, re.findall(r"^(?:clean|noisy|attacked) +(\d+) sent", shown.stdout, re.MULTILINE)))
    forwards = read_bundle(out / "bundle").manifest.plan.forwards_per_image
    assert f"isthmus_images_total {float(sent)}" in shown.stdout
    assert f"isthmus_classifier_forwards_total {float(sent * forwards)}" in shown.stdout
    assert 'grpc_code="OK",grpc_method="Score"' in shown.stdout


def test_it_leaves_pictures_and_a_bundle(shown: subprocess.CompletedProcess[str], out: Path) -> None:
    assert shown.returncode == 0
    for picture in ("profiles.png", "prototypes.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    told = finished("inspect", str(out / "bundle"))
    assert told.returncode == 0
    assert "19 classifier forwards" in told.stdout


def test_kept_serving_it_answers_until_ctrl_c(shown: subprocess.CompletedProcess[str], out: Path) -> None:
    assert shown.returncode == 0
    digest = read_bundle(out / "bundle").digest
    running = started("demo", "--out", str(out), "--reuse", "--keep-serving", "--port", "0", "--metrics-port", "0")
    try:
        assert running.stdout
        said = ""
        for line in running.stdout:
            said += line
            if "curl http" in line:
                break
        client = re.search(r"isthmus (client \S+ \S+)$", said, re.MULTILINE)
        metrics = re.search(r"curl (http\S+)", said)
        assert client, said
        assert metrics
        answered = finished(*client[1].split(), "--format", "csv")
        assert answered.returncode == 0
        assert len(answered.stdout.splitlines()) == 901
        with urllib.request.urlopen(metrics[1], timeout=10) as page:  # noqa: S310 - the demo's own server
            assert f'bundle_digest="{digest}"' in page.read().decode()
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate(timeout=60)
        assert running.returncode == 0
        assert "stopped     by SIGTERM, exit code 0" in rest
        assert "bundle: reused" in errors
    finally:
        running.kill()
        running.communicate()


def test_an_altered_bundle_is_not_reused(shown: subprocess.CompletedProcess[str], out: Path, tmp_path: Path) -> None:
    """Started, seen to refuse the bundle, and stopped before it has made another."""
    assert shown.returncode == 0
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for file in (out / "bundle").iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    with (bundle / "scorer.onnx").open("ab") as scorer:
        scorer.write(b"\0")
    running = started("demo", "--out", str(tmp_path), "--reuse")
    assert running.stderr
    said = ""
    deadline = time.monotonic() + 60
    while "bundle: made anew" not in said and time.monotonic() < deadline:
        said += running.stderr.readline()
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert "scorer.onnx: altered" in said
    assert running.returncode == 130
