"""What makes a load test fail, and how it says so."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from detector.bundle import read_bundle, write_bundle
from detector.cli.demo_server import ServerProcess
from detector.verdicts import TargetRates
from loadtest.__main__ import shared_by
from tests.loadtest.support import Target, loaded, python
from tests.support.commands import environment

if TYPE_CHECKING:
    from pathlib import Path

BRIEF = ("--users", "3", "--run-time", "1s")


def failed_bars(said: str) -> list[str]:
    return [line.split("│")[1].strip() for line in said.splitlines() if line.endswith("│ FAIL │")]


def test_thresholds_that_do_not_hold_fail_it(target: Target, tmp_path: Path) -> None:
    done = loaded(target, tmp_path, *BRIEF, "ScoreUser", "--max-p99-ms", "0.001", "--min-rate", "1e6")
    assert done.code == 1
    assert failed_bars(done.said) == ["p99 at most 0.001 ms", "at least 1e+06 answered/s"]


def test_answers_of_another_bundle_are_wrong(material: tuple[str, ...], digits_bundle: Path, tmp_path: Path) -> None:
    """Of the same classifier, but with half of all benign images suspect."""
    own = read_bundle(digits_bundle)
    rates = TargetRates(suspect=0.5, adversarial=0.4)
    other = tmp_path / "other"
    write_bundle(other, replace(own.manifest, rates=rates), own.parts, attachments={})
    with ServerProcess(other, tmp_path / "log", port=0, metrics_port=0) as server:
        options = ("ScoreUser", "InferBatchUser", "ScoreStreamUser", "--html", str(tmp_path / "report.html"))
        done = loaded(Target(server.address, material), tmp_path, *BRIEF, *options)
    assert done.code == 1
    assert {("wrong", name) for name in ("Score", "ModelInfer of 16", "ScoreStream")} <= done.rows.keys()
    assert failed_bars(done.said) == ["all answers as computed offline"]
    assert re.search(r"WrongAnswerError\(.{1,6}verdict", (tmp_path / "report.html").read_text())


@pytest.fixture(scope="module")
def crowded(
    material: tuple[str, ...], digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[tuple[str, str], tuple[int, int]], list[str]]:
    """What came of a server with room for two images, asked by six users who ask again at once."""
    folder = tmp_path_factory.mktemp("crowded")
    flags = ("--max-images", "1", "--max-queue-images", "2", "--threads", "1")
    with ServerProcess(digits_bundle, folder / "log", port=0, metrics_port=0, flags=flags) as server:
        users = ("ScoreUser", "InferUser", "ScoreStreamUser", "InferStreamUser")
        options = ("--users", "8", "--run-time", "2s", "--max-refused-share", "0.01")
        done = loaded(Target(server.address, material), folder, *users, *options)
    assert done.code == 1, done.said
    return done.rows, failed_bars(done.said)


def test_refusals_are_told_apart_from_failures(
    crowded: tuple[dict[tuple[str, str], tuple[int, int]], list[str]],
) -> None:
    rows, failed = crowded
    for name in ("Score", "ModelInfer", "ScoreStream", "ModelStreamInfer"):
        assert rows["refused", name][0] > 0
    assert all(not failures for (kind, _), (_, failures) in rows.items() if kind == "grpc")
    assert failed == ["at most 1.000% refused"]


def test_a_server_that_is_not_there_fails_it(material: tuple[str, ...], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    done = loaded(Target(address, material), tmp_path, "ScoreUser", *BRIEF, "--request-timeout", "0.5")
    assert done.code == 1
    assert "something is answered" in failed_bars(done.said)


def test_workers_without_material_end_it_with_one_line(material: tuple[str, ...], tmp_path: Path) -> None:
    nowhere = Target("127.0.0.1:1", (*material[:2], "--clean", str(tmp_path / "none")))
    done = loaded(nowhere, tmp_path, "ScoreUser", *BRIEF, *shared_by(2))
    assert done.code == 1, done.said
    assert f"{tmp_path / 'none'}: no such file or folder" in done.said
    assert "Traceback" not in done.said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--clean", "some"), "go with --bundle"),
        (("--bundle", "some"), "--clean must be given"),
    ],
)
def test_the_command_asks_for_what_belongs_together(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = python("-m", "loadtest", "run", "--out", str(tmp_path), *options)
    assert done.returncode == 1
    assert re.fullmatch(rf"isthmus: .*{said}.*\n", done.stdout)


def test_terminated_it_leaves_no_server_behind(material: tuple[str, ...], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loadtest", "run", "--out", str(tmp_path), *material, "--run-time", "60s"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())
    try:
        assert running.stdout
        assert any("All users spawned" in line for line in running.stdout)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)
        assert '"event": "stopped"' in (tmp_path / "server.log").read_text()
    finally:
        running.kill()
        running.communicate()
