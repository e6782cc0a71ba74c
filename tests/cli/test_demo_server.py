from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from detector.cli.demo_server import ServerProcess
from detector.errors import ServiceFailedError
from service.client import Client

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault


def test_it_answers_within_the_block_and_ends_well(
    digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    with ServerProcess(digits_bundle, tmp_path / "log", port=0, metrics_port=0) as server:
        with Client(server.address) as client:
            assert len(client.score(digits.test.pixels[:5])) == 5
        assert server.stop() == 0
        assert server.stop() == 0
    assert '"event": "stopped"' in (tmp_path / "log").read_text()


def test_settings_of_the_users_own_server_are_not_taken(
    digits_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISTHMUS_MAX_IMAGES", "none at all")
    with (
        ServerProcess(digits_bundle, tmp_path / "log", port=0, metrics_port=0) as server,
        Client(server.address) as client,
    ):
        assert client.describe().max_images == 256


@pytest.mark.parametrize("trouble", ["bundle", "port"])
def test_a_server_that_does_not_start_has_the_last_word(trouble: str, digits_bundle: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bundle = tmp_path / "nothing" if trouble == "bundle" else digits_bundle
        server = ServerProcess(bundle, tmp_path / "log", port=port if trouble == "port" else 0, metrics_port=0)
        wanted = "no such bundle folder" if trouble == "bundle" else f"can't listen on port {port}"
        with pytest.raises(ServiceFailedError, match=f"did not start: isthmus: .*{wanted}"), server:
            pytest.fail("it must not start")
