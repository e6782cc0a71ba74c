"""Locust against a real server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.loadtest.support import Loaded, Target, loaded, python

if TYPE_CHECKING:
    from pathlib import Path

ALL = {"Score", "Score of 5", "ScoreStream", "ModelInfer", "ModelInfer of 5", "ModelStreamInfer"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def everything(target: Target, folder: Path) -> Loaded:
    """One user of each kind."""
    options = ("--users", "6", "--run-time", "3s", "--batch", "5", "--stream-requests", "6", "--share", "0.25")
    bars = ("--max-p99-ms", "20000", "--min-rate", "1", "--max-refused-share", "0")
    return loaded(target, folder, *options, *bars, "--html", str(folder / "report.html"))


def test_both_apis_answer_single_images_batches_and_streams_rightly(everything: Loaded) -> None:
    assert everything.code == 0, everything.said
    assert everything.rows.keys() == {("grpc", name) for name in ALL}
    assert all(requests >= 2 and not failures for requests, failures in everything.rows.values()), everything.rows


def test_bars_and_what_is_sent_are_told(everything: Loaded) -> None:
    assert len(re.findall(r"│ pass │", everything.said)) == 7
    assert "FAIL" not in everything.said
    assert re.search(r"75% clean: 24 images, .*; 25% attacked: 24 images, \d", everything.said)


def test_the_html_report_names_every_kind_of_request(everything: Loaded, folder: Path) -> None:
    assert everything.code == 0
    report = (folder / "report.html").read_text()
    assert all(f'"name": "{name}"' in report for name in ALL)


def test_one_command_starts_a_server_and_two_workers_that_share_an_open_load(
    material: tuple[str, ...], tmp_path: Path
) -> None:
    """4 users who ask 10 times a second each, but at the first of the two steps only 2 of them."""
    shape = ("ScoreUser", "--users", "4", "--rate", "10", "--shape", "steps", "--steps", "2", "--run-time", "4s")
    command = ("-m", "loadtest", "run", "--out", str(tmp_path), "--workers", "2", "--server=--threads=1")
    done = python(*command, *material, *shape)
    assert done.returncode == 0, done.stdout
    assert "2 workers connected" in done.stdout
    assert len(re.findall("scored offline", done.stdout)) == 2
    found = re.search(r"(\d+) of \1 requests", done.stdout)
    assert found
    assert 10 <= int(found[1]) <= 200  # 120 are due, fewer where connecting is slow; asking again at once brings more
    assert f"report      {tmp_path / 'report.html'}" in done.stdout
    assert "<html" in (tmp_path / "report.html").read_text()
    assert '"event": "stopped"' in (tmp_path / "server.log").read_text()
