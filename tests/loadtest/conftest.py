from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.cli.demo_server import ServerProcess
from tests.loadtest.support import Target
from tests.support.pictures import encoded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from detector.embedded import EmbeddedDefault

_IMAGES = 24


@pytest.fixture(scope="session")
def material(digits: EmbeddedDefault, digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options that name a bundle, digits as an .npz, and as a folder what stands for attacked ones: digits torn up."""
    folder = tmp_path_factory.mktemp("material")
    pixels = digits.test.pixels[:_IMAGES]
    np.savez(folder / "clean.npz", images=pixels)
    (folder / "torn").mkdir()
    torn = np.random.default_rng(0).permuted(pixels.reshape(_IMAGES, -1), axis=1).reshape(pixels.shape)
    for index, image in enumerate(torn):
        (folder / "torn" / f"{index}.png").write_bytes(encoded(image))
    return ("--bundle", str(digits_bundle), "--clean", str(folder / "clean.npz"), "--attacked", str(folder / "torn"))


@pytest.fixture(scope="session")
def target(
    material: tuple[str, ...], digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """`isthmus serve` on that bundle."""
    log = tmp_path_factory.mktemp("server") / "log"
    with ServerProcess(digits_bundle, log, port=0, metrics_port=0, flags=("--threads", "1")) as server:
        yield Target(server.address, material)
