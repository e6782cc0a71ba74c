"""Bundles of the digits classifier that runs elsewhere, and the processes it runs in."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from detector.bundle import read_bundle, write_bundle
from detector.classifiers.address import RemoteModel
from tests.support.commands import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from detector.classifiers.base import ImageSpec


def digits_model(target: str, **changes: Any) -> RemoteModel:
    """The digits classifier behind `tests.support.oip_server`."""
    usual = RemoteModel(target=target, tls=False, model="digits", version="", input="images", output="logits", batch=32)
    return replace(usual, **changes)


def remote_bundle(bundle: Path, path: Path, model: RemoteModel, *, spec: ImageSpec | None = None) -> Path:
    """The same bundle, but for its classifier, which runs elsewhere."""
    whole = read_bundle(bundle)
    manifest = replace(whole.manifest, remote=model, spec=spec or whole.manifest.spec, files={})
    write_bundle(path, manifest, replace(whole.parts, classifier=None), attachments={}, overwrite=True)
    return path


class OipProcess:
    """`tests.support.oip_server` in a process of its own, which can be killed and started again on its port."""

    def __init__(self, model: Path, **options: object) -> None:
        self._model, self._options = model, options
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, model: Path | None = None, **options: object) -> None:
        """Start it, with another model or other options if wanted, where it was before."""
        given = {"port": self.port} | self._options | options
        flags = [part for name, value in given.items() for part in (f"--{name}", str(value))]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.oip_server", str(model or self._model), *flags],
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd=ROOT,
        )
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def oip_process(model: Path, **options: object) -> Iterator[OipProcess]:
    """A started `OipProcess`."""
    process = OipProcess(model, **options)
    try:
        process.start()
        yield process
    finally:
        process.kill()
