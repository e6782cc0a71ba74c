"""Clusters that are not there, and options that contradict each other."""

from __future__ import annotations

import socket

import pytest
from typer.testing import CliRunner

from detector.cli.main import app
from detector.errors import MissingExtraError, ScaleOutError
from detector.shards import cluster
from detector.shards.cluster import joined_cluster, local_cluster

GIVEN = ("--classifier", "model.onnx", "--images", "images.npz", "--out", "out")


@pytest.mark.parametrize("address", ["nowhere", "host:", "host:port", "ray://host", ":6379", "host:0", "host:65536"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ScaleOutError, match=r"^--ray-address .*: give auto, host:port or ray://host:port$"):
        joined_cluster(address).__enter__()


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nobody_answers_is_told_at_once(scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ScaleOutError, match=rf"^--ray-address {address}: nobody answers there: "):
            joined_cluster(address).__enter__()


@pytest.mark.parametrize("command", ["calibrate", "evaluate"])
@pytest.mark.parametrize("options", [("--ray",), ("--ray-address", "auto")])
def test_without_the_extra_it_says_which_one_is_missing(
    monkeypatch: pytest.MonkeyPatch, command: str, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    result = CliRunner().invoke(app, [command, *GIVEN, *options])
    assert result.exit_code == 1
    assert result.stderr == "isthmus: --ray needs ray: pip install 'isthmus[ray]'\n"
    with pytest.raises(MissingExtraError):
        local_cluster().__enter__()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ray", "--ray-address", "auto"), "give one of them"),
        (("--ray-workers", "2"), "needs --ray"),
        (("--ray-workers", "2", "--ray-address", "auto"), "needs --ray"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["calibrate", *GIVEN, *options], env={"COLUMNS": "300", "NO_COLOR": "1"})
    assert result.exit_code == 2
    assert message in result.stderr
