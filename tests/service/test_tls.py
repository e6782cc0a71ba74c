from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trustme

from detector.errors import NotReadyError, SettingsError
from service.access import Access
from service.client import AsyncClient, Client
from service.tls import server_credentials
from tests.service.support import StartServer, random_pixels, settings_for_tests

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = random_pixels(2, 8, 8, 3)


@dataclass
class Authority:
    """Signs certificates, and keeps the server's on disk."""

    folder: Path

    def __post_init__(self) -> None:
        self.ca = trustme.CA()
        self.issue()
        self.ca.cert_pem.write_to_path(str(self.folder / "ca.pem"))

    @property
    def pem(self) -> bytes:
        return self.ca.cert_pem.bytes()

    @property
    def settings(self) -> dict[str, Path]:
        return {"tls_certificate": self.folder / "server.pem", "tls_key": self.folder / "server.key"}

    def issue(self) -> None:
        """Give the server another certificate."""
        made = self.ca.issue_cert("127.0.0.1", "localhost")
        made.private_key_pem.write_to_path(str(self.folder / "server.key"))
        (self.folder / "server.pem").write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))

    def client(self) -> tuple[bytes, bytes]:
        """A client's certificate and key."""
        made = self.ca.issue_cert("client.example")
        return b"".join(part.bytes() for part in made.cert_chain_pems), made.private_key_pem.bytes()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_a_server_with_tls_is_reached_by_who_trusts_it_alone(
    start_server: StartServer, authority: Authority, tmp_path: Path
) -> None:
    server = await start_server(**authority.settings)
    async with AsyncClient(server.target, access=Access(tls=True, ca=authority.pem)) as client:
        assert len(await client.score(PIXELS)) == 2
    other = tmp_path / "other"
    other.mkdir()
    for access in (Access(), Access(tls=True, ca=Authority(other).pem)):
        async with AsyncClient(server.target, timeout=3, access=access) as client:
            with pytest.raises(NotReadyError):
                await client.score(PIXELS)


async def test_with_mutual_tls_clients_need_a_certificate_of_the_right_authority(
    start_server: StartServer, authority: Authority, tmp_path: Path
) -> None:
    server = await start_server(**authority.settings, tls_client_ca=tmp_path / "ca.pem")
    certificate, key = authority.client()
    known = Access(tls=True, ca=authority.pem, certificate=certificate, key=key)
    async with AsyncClient(server.target, access=known) as client:
        assert len(await client.score(PIXELS)) == 2
    other = tmp_path / "other"
    other.mkdir()
    wrong_certificate, wrong_key = Authority(other).client()
    stranger = Access(tls=True, ca=authority.pem, certificate=wrong_certificate, key=wrong_key)
    for access in (Access(tls=True, ca=authority.pem), stranger):
        async with AsyncClient(server.target, timeout=3, access=access) as client:
            with pytest.raises(NotReadyError):
                await client.score(PIXELS)


async def test_rotated_certificates_are_taken_up_without_a_restart(
    start_server: StartServer, authority: Authority, tmp_path: Path
) -> None:
    server = await start_server(**authority.settings)
    before = Access(tls=True, ca=authority.pem)
    async with AsyncClient(server.target, access=before) as client:
        assert len(await client.score(PIXELS)) == 2
        authority.ca = trustme.CA()
        authority.issue()
        assert len(await client.score(PIXELS)) == 2  # a connection that stands, stands
    after = Access(tls=True, ca=authority.pem)
    async with AsyncClient(server.target, access=after) as client:
        assert len(await client.score(PIXELS)) == 2
    (tmp_path / "server.pem").unlink()  # as while files are being replaced
    async with AsyncClient(server.target, access=Access(tls=True, ca=authority.pem + b"\n")) as client:
        assert len(await client.score(PIXELS)) == 2


async def test_the_plain_client_speaks_tls_from_files(
    start_server: StartServer, authority: Authority, tmp_path: Path
) -> None:

    server = await start_server(**authority.settings)
    access = Access.read(ca=tmp_path / "ca.pem")

    def ask() -> int:
        with Client(server.target, access=access) as client:
            return len(client.score(PIXELS))

    assert await asyncio.to_thread(ask) == 2


def test_files_that_can_not_be_read_are_named(authority: Authority, tmp_path: Path) -> None:
    for name in ("tls_certificate", "tls_key"):
        settings = settings_for_tests(**(authority.settings | {name: tmp_path / "nothing"}))
        with pytest.raises(SettingsError, match=f"{name} .*nothing: can't be read"):
            server_credentials(settings)
    with pytest.raises(SettingsError, match="nothing: can't be read"):
        Access.read(token_file=tmp_path / "nothing")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tls_key": None}, "tls_certificate and tls_key go together"),
        ({"tls_certificate": None}, "tls_certificate and tls_key go together"),
        ({"tls_certificate": None, "tls_key": None, "tls_client_ca": "ca.pem"}, "tls_client_ca needs"),
    ],
)
def test_half_a_configuration_is_refused(authority: Authority, changes: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        settings_for_tests(**(authority.settings | changes))


def test_a_quota_below_a_requests_size_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"quota_images_per_minute must be 0 or at least max_images \(256\)"):
        settings_for_tests(quota_images_per_minute=255)


def test_plain_text_has_no_credentials() -> None:
    assert server_credentials(settings_for_tests()) is None
    assert Access().credentials is None
