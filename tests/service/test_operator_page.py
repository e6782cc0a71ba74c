from __future__ import annotations

import asyncio
from dataclasses import replace
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.errors import InvalidInputError
from service.client import AsyncClient
from service.server import RunningServer
from tests.service.support import StartServer, random_pixels, settings_for_tests
from tests.service.test_metrics import FLAT, NOISE
from tests.support.brightness import BrightnessBundle, BrightnessScorer
from tests.support.browser import DARK, colours, drawn
from tests.support.pages import Page, read_page

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from pathlib import Path

NASTY = "<script>alert('cat')</script>"


async def visit(server: RunningServer, path: str = "/", method: str = "GET") -> tuple[HTTPResponse, str]:
    def ask() -> tuple[HTTPResponse, str]:
        connection = HTTPConnection("127.0.0.1", server.metrics_port, timeout=20)
        connection.request(method, path)
        reply = connection.getresponse()
        return reply, reply.read().decode()

    return await asyncio.to_thread(ask)


async def page_of(server: RunningServer) -> Page:
    reply, text = await visit(server)
    assert reply.status == 200, text
    return read_page(text)


async def test_it_says_what_happens_and_what_was_flagged(start_server: StartServer) -> None:
    server = await start_server(metrics_enabled=True)
    async with AsyncClient(server.target) as client:
        await client.score([FLAT, FLAT, FLAT, NOISE])
        await client.score(NOISE)
        with pytest.raises(InvalidInputError):
            await client.score(b"text")
    page = await page_of(server)
    assert "serving" in page.text
    assert page.row("queue") == ["0 of 1024 images"]
    assert page.row("p-value drift") == ["not known yet, after 5 images"]
    assert page.row("canaries") == ["0 failed, 1 passed; newest at 0% of what rounding may do"]
    assert page.row("flagged; of benign images 5.0%") == ["40.0%"] * 3
    assert page.row("images without a score") == ["1 invalid_input"] * 3
    assert page.row("calls") == ["3 OK, 1 INVALID_ARGUMENT"] * 3  # one asked what the detector is
    assert page.row("digest") == [BrightnessScorer().bundle.digest]
    flagged = [row for row in page.rows if "ADVERSARIAL" in row]
    assert len(flagged) == 2
    assert [row[-1].rpartition(" ")[2] for row in flagged] == ["[0]", "[3]"]  # the newest first
    assert flagged[0][2] == "grey"
    assert flagged[0][5].startswith("ipv4:127.0.0.1:")


async def test_it_shows_only_the_newest(start_server: StartServer) -> None:
    server = await start_server(metrics_enabled=True)
    async with AsyncClient(server.target) as client:
        await client.score(random_pixels(70, 8, 8, 3))
    page = await page_of(server)
    indices = [row[-1].rpartition(" ")[2] for row in page.rows if "ADVERSARIAL" in row]
    assert indices == [f"[{index}]" for index in range(69, 19, -1)]


async def test_names_from_a_bundle_are_text(start_server: StartServer) -> None:
    scorer = BrightnessScorer()
    scorer.bundle = BrightnessBundle(replace(scorer.bundle.manifest, labels=("dark", NASTY, "light")))
    server = await start_server(scorer, metrics_enabled=True)
    async with AsyncClient(server.target) as client:
        await client.score(NOISE)
    page = await page_of(server)
    assert NASTY in page.text
    assert "script" not in page.tags


async def test_it_is_there_while_the_server_starts_and_drains() -> None:
    server = RunningServer(settings_for_tests(metrics_enabled=True, drain_delay=1.0), load=lambda _: BrightnessScorer())
    await server.listen()
    assert "loading" in (await page_of(server)).text
    await server.make_ready()
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    assert "draining" in (await page_of(server)).text
    await stopping


async def test_it_can_be_switched_off_and_metrics_stay(start_server: StartServer) -> None:
    server = await start_server(metrics_enabled=True, operator_page=False)
    assert (await visit(server))[0].status == 404
    assert (await visit(server, "/metrics"))[0].status == 200


async def test_it_is_for_reading_and_loads_nothing(start_server: StartServer) -> None:
    server = await start_server(metrics_enabled=True)
    assert (await visit(server, method="POST"))[0].status == 405
    assert (await visit(server, "/other"))[0].status == 404
    reply, text = await visit(server)
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["X-Frame-Options"] == "DENY"
    assert read_page(text).links == ["/metrics"]
    assert ("content", "default-src 'none'; img-src data:; style-src 'unsafe-inline'") in read_page(text).attributes


async def test_a_page_that_fails_tells_nothing_and_harms_no_metrics(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start_server(metrics_enabled=True)
    monkeypatch.setattr("service.operator_page.project_version", lambda: 1 / 0)
    reply, text = await visit(server)
    assert (reply.status, text) == (500, "the page failed; the log says why\n")
    assert (await visit(server, "/metrics"))[0].status == 200


@pytest.mark.parametrize(("options", "dark"), [((), False), ((DARK,), True)], ids=["light", "dark"])
async def test_a_browser_draws_it(
    start_server: StartServer, tmp_path: Path, options: tuple[str, ...], *, dark: bool
) -> None:
    server = await start_server(metrics_enabled=True)
    async with AsyncClient(server.target) as client:
        await client.score([NOISE, FLAT])
    pixels = await asyncio.to_thread(drawn, f"http://127.0.0.1:{server.metrics_port}/", tmp_path, *options)
    assert (np.median(pixels) < 60) == dark
    assert colours(pixels) > 20
    assert (np.ptp(pixels[:100], axis=2) > 60).any()  # the state is coloured
