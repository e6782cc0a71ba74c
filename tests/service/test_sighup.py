from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from detector import read_bundle
from detector.bundle import write_bundle
from service.client import AsyncClient
from tests.service.processes import serving

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault

PROGRAM = """
import asyncio
from pathlib import Path
from service.server import serve
from service.settings import load_settings
asyncio.run(serve(load_settings(bundle=Path({bundle!r}), port=0, metrics_enabled=False, drain_delay=0.0, threads=1)))
"""


async def test_a_real_bundle_is_replaced_by_sighup_and_an_altered_one_is_not(
    digits_bundle: Path, digits: EmbeddedDefault, tmp_path: Path
) -> None:
    served_from = tmp_path / "bundle"
    shutil.copytree(digits_bundle, served_from)
    other = tmp_path / "other"
    bundle = read_bundle(digits_bundle)
    manifest = replace(bundle.manifest, provenance={"seed": 1})
    wanted = write_bundle(other, manifest, bundle.parts, attachments={})
    async with serving(PROGRAM.format(bundle=str(served_from))) as served:
        listening = await served.until("listening")
        async with AsyncClient(listening["address"]) as client:
            before = await client.score(digits.test.pixels[:5])
            with (served_from / "scorer.onnx").open("ab") as file:
                file.write(b"\0")
            served.process.send_signal(signal.SIGHUP)
            refused = await served.until("reload refused")
            assert "scorer.onnx: altered" in refused["reason"]
            again = await client.score(digits.test.pixels[:5])
            assert [image.score for image in again] == [image.score for image in before]
            shutil.rmtree(served_from)
            other.rename(served_from)
            served.process.send_signal(signal.SIGHUP)
            reloaded = await served.until("reloaded")
            assert reloaded["bundle_digest"] == wanted
            assert reloaded["replaced"] == listening["bundle_digest"]
            assert (await client.describe()).bundle_digest == wanted
            assert len(await client.score(digits.test.pixels[:5])) == 5
        served.process.send_signal(signal.SIGTERM)
        await served.until("stopped")
