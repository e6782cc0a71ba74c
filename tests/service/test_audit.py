"""Flagged images are written down, and nothing about that holds up serving."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from detector.errors import SettingsError, WithheldError
from service.client import AsyncClient
from tests.service.support import GatedScorer, random_pixels, settings_for_tests

if TYPE_CHECKING:
    from service.server import RunningServer
    from tests.service.support import Pixels, StartServer

FLAT = np.full((1, 8, 8, 3), 128, np.uint8)
NOISE = random_pixels(2, 8, 8, 3)
MIXED = np.concatenate([NOISE[:1], FLAT, NOISE[1:]])


def _png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _metric(server: RunningServer, name: str, **labels: str) -> float | None:
    return server._registry.get_sample_value(name, labels)


async def test_flagged_images_are_written_down_and_others_are_not(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    server = await start_server(audit_log=path)
    async with AsyncClient(server.target) as client:
        answers = await client.score(MIXED)
        digest = (await client.describe()).bundle_digest
    await server.stop()
    entries = _entries(path)
    assert [entry["image"] for entry in entries] == [0, 2]
    for entry in entries:
        answer = answers[entry["image"]]
        assert entry["label"] == answer.label
        assert entry["class_index"] == answer.class_index
        assert entry["verdict"] == answer.verdict == "ADVERSARIAL"
        assert entry["score"] == pytest.approx(answer.score)
        assert entry["p_value"] == pytest.approx(answer.p_value)
        assert entry["barrier_height"] == pytest.approx(answer.barrier_height)
        assert entry["bundle_digest"] == digest
        assert entry["caller"].startswith("ipv4:127.0.0.1:")
        assert len(entry["request_id"]) == 32
        assert entry["withheld"] is False
        assert entry["quarantined"] is None
        assert entry["time"].endswith("+00:00")
    assert _metric(server, "isthmus_audit_entries_total") == 2


async def test_files_are_kept_as_they_came_and_pixels_as_numpy_s_own(start_server: StartServer, tmp_path: Path) -> None:
    folder = tmp_path / "quarantine"
    server = await start_server(audit_log=tmp_path / "log", quarantine=folder)
    files = [_png(image) for image in MIXED]
    async with AsyncClient(server.target) as client:
        await client.score(files)
        await client.score(NOISE)
    await server.stop()
    from_files, from_pixels = _entries(tmp_path / "log")[:2], _entries(tmp_path / "log")[2:]
    for entry, file in zip(from_files, (files[0], files[2]), strict=True):
        assert entry["sha256"] == hashlib.sha256(file).hexdigest()
        assert entry["quarantined"] == f"{entry['sha256']}.png"
        assert (folder / entry["quarantined"]).read_bytes() == file
    for entry, pixels in zip(from_pixels, NOISE, strict=True):
        np.testing.assert_array_equal(np.load(folder / entry["quarantined"], allow_pickle=False), pixels)
    assert len(list(folder.iterdir())) == 4


async def test_what_is_withheld_is_written_down_too(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server(audit_log=tmp_path / "log", policy="withhold")
    async with AsyncClient(server.target) as client:
        with pytest.raises(WithheldError):
            await client.score(MIXED)
    await server.stop()
    assert [entry["withheld"] for entry in _entries(tmp_path / "log")] == [True, True]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
async def test_a_full_disk_ends_no_answer_and_is_counted(
    start_server: StartServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    log.symlink_to("/dev/full")
    server = await start_server(audit_log=log, audit_max_bytes=1 << 40)
    async with AsyncClient(server.target) as client:
        for _ in range(5):
            assert len(await client.score(MIXED)) == 3
    await server.stop()
    assert _metric(server, "isthmus_audit_lost_total", reason="log_failed") == 10
    assert _metric(server, "isthmus_audit_entries_total") == 0
    assert capfd.readouterr().out.count("No space left on device") == 1


async def test_a_quarantine_that_is_gone_loses_its_images_and_not_the_log(
    start_server: StartServer, tmp_path: Path
) -> None:
    folder = tmp_path / "quarantine"
    server = await start_server(audit_log=tmp_path / "log", quarantine=folder)
    folder.rmdir()
    async with AsyncClient(server.target) as client:
        await client.score(MIXED)
    await server.stop()
    assert [entry["quarantined"] for entry in _entries(tmp_path / "log")] == [None, None]
    assert _metric(server, "isthmus_audit_lost_total", reason="quarantine_failed") == 2


async def test_a_disk_that_stands_still_holds_up_nothing(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe nobody reads is a file whose writers wait; what waits is bounded in bytes."""
    monkeypatch.setattr("service.audit._MOST_WAITING_BYTES", 3 * NOISE[0].nbytes)
    monkeypatch.setattr("service.audit._CLOSE_SECONDS", 0.5)
    log = tmp_path / "log"
    server = await start_server(GatedScorer(), audit_log=log)
    log.unlink()
    os.mkfifo(log)
    async with AsyncClient(server.target) as client:
        for _ in range(5):
            assert len(await client.score(NOISE)) == 2
    assert _metric(server, "isthmus_audit_lost_total", reason="queue_full") == 7
    await server.stop()
    with log.open() as reader:  # lets the writer go on and end
        assert len(reader.read().splitlines()) >= 1


def test_a_quarantine_without_a_log_is_refused() -> None:
    with pytest.raises(SettingsError, match="quarantine needs audit_log"):
        settings_for_tests(quarantine=Path("somewhere"))


async def test_a_log_that_cannot_be_written_ends_the_start(start_server: StartServer, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be written"):
        await start_server(audit_log=tmp_path)
