from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest
import trustme

from service.health import DETECTOR_SERVICE
from service.probe import main
from service.settings import ServiceSettings
from tests.service.support import StartServer, python_environment

if TYPE_CHECKING:
    from pathlib import Path

    from service.server import RunningServer


def _mutual_tls(folder: Path, *names: str) -> dict[str, Path]:
    """Settings of mutual TLS, with a certificate for these names."""
    authority = trustme.CA()
    files = {name: folder / f"{name}.pem" for name in ("tls_certificate", "tls_key", "tls_client_ca")}
    made = authority.issue_cert(*names)
    files["tls_certificate"].write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
    made.private_key_pem.write_to_path(str(files["tls_key"]))
    authority.cert_pem.write_to_path(str(files["tls_client_ca"]))
    return files


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, Path]:
    """Of callers' name of the server, as in a cluster."""
    return _mutual_tls(tmp_path, "guard.models.svc", "*.guard.models.svc")


async def _probe(server: RunningServer, *flags: str, **settings: object) -> int:
    environment = {f"ISTHMUS_{name.upper()}": str(value) for name, value in settings.items()}
    return await asyncio.to_thread(main, ["--timeout", "3", *flags], {"ISTHMUS_PORT": str(server.port)} | environment)


async def test_a_ready_server_is_ready_under_every_name(server: RunningServer) -> None:
    assert await _probe(server) == 0
    assert await _probe(server, "--service", DETECTOR_SERVICE) == 0


async def test_a_draining_server_is_not_ready(start_server: StartServer, capsys: pytest.CaptureFixture[str]) -> None:
    server = await start_server(drain_delay=2.0)
    stopping = asyncio.ensure_future(server.stop())
    await asyncio.sleep(0)
    assert await _probe(server) == 1
    assert capsys.readouterr().err == "not ready: NOT_SERVING\n"
    await stopping


async def test_tls_is_asked_with_the_certificate_that_the_server_was_given(
    start_server: StartServer, tls: dict[str, Path]
) -> None:
    del tls["tls_client_ca"]
    server = await start_server(**tls)
    assert await _probe(server, **tls) == 0
    assert await _probe(server, "--server-certificate", str(tls["tls_certificate"])) == 0


@pytest.mark.parametrize("name", ["*.guard.models.svc", "10.1.2.3", "::1"])
async def test_any_kind_of_name_is_known(start_server: StartServer, tmp_path: Path, name: str) -> None:
    tls = _mutual_tls(tmp_path, name)
    server = await start_server(**tls)
    assert await _probe(server, **tls) == 0


async def test_with_mutual_tls_the_probe_shows_the_servers_own_certificate_or_the_one_it_is_given(
    start_server: StartServer, tls: dict[str, Path]
) -> None:
    server = await start_server(**tls)
    assert await _probe(server, **tls) == 0
    shown = ("--certificate", str(tls["tls_certificate"]), "--key", str(tls["tls_key"]))
    assert await _probe(server, *shown, tls_certificate=tls["tls_certificate"]) == 0
    assert await _probe(server, tls_certificate=tls["tls_certificate"]) == 1, "none is shown"


async def test_a_server_without_tls_and_another_certificate_are_not_ready(
    start_server: StartServer, server: RunningServer, tls: dict[str, Path], tmp_path: Path
) -> None:
    assert await _probe(server, **tls) == 1
    del tls["tls_client_ca"]
    secure = await start_server(**tls)
    trustme.CA().issue_cert("guard.models.svc").cert_chain_pems[0].write_to_path(str(tmp_path / "other.pem"))
    assert await _probe(secure, tls_certificate=tmp_path / "other.pem") == 1
    assert await _probe(secure, tls_certificate=tmp_path / "none.pem") == 1


def test_nobody_there_is_not_ready(unused_tcp_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", str(unused_tcp_port)], {}) == 1
    assert capsys.readouterr().err.startswith("not ready: UNAVAILABLE")


def test_a_port_out_of_range_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([], {"ISTHMUS_PORT": "70000"})
    assert "--port" in capsys.readouterr().err


async def test_the_default_port_is_the_servers() -> None:
    """And the module runs as a command."""
    assert ServiceSettings.model_fields["port"].default == 50051
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service.probe", "--help"), env=python_environment(), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert b"its port" in output
