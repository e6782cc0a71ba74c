"""How another process opens the models that shards are computed with.

A recipe holds the deployed graph itself and says where gradients come from: a path and a digest, not code or a module.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from detector.classifiers.gradients import load_torch_source
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.onnx_gradients import load_onnx_gradients
from detector.errors import ClassifierError
from detector.shards.base import Models
from detector.versions import tool_versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.classifiers.base import ImageSpec, OutputKind, UInt8Array
    from detector.classifiers.torch import TorchClassifier


@dataclass(frozen=True)
class GradientOrigin:
    """Where gradients were loaded from.

    Args:
        source: As for `load_torch_source`, files by their absolute path; None: from the classifier's own graph, through
            onnx2torch.
        state: The file of a factory's weights.
        digests: SHA-256, hexadecimal, of the files among these, by path.
    """

    source: str | None
    state: str | None
    digests: Mapping[str, str]

    @classmethod
    def of(cls, source: str | Path | None, state: Path | None = None) -> GradientOrigin:
        """The origin of gradients that were just loaded."""
        files = [Path(given).resolve() for given in (source, state) if given is not None and Path(given).is_file()]
        place = str(files[0]) if source is not None and Path(source).is_file() else source
        return cls(
            source=None if place is None else str(place),
            state=None if state is None else str(state.resolve()),
            digests={str(file): file_digest(file) for file in files},
        )

    def check(self) -> None:
        """Make sure that the same files lie here.

        Raises:
            ClassifierError: One is missing or differs; names it.
        """
        for path, digest in self.digests.items():
            if not Path(path).is_file():
                raise ClassifierError(f"{path}: not on this machine; workers open gradients by the same path")
            if file_digest(Path(path)) != digest:
                raise ClassifierError(f"{path}: another file on this machine than where the run was started")


@dataclass(frozen=True, eq=False)
class ModelRecipe:
    """All that is needed to open the models of a run.

    Args:
        graph: uint8, the ONNX model that is deployed.
        spec: How it wants its images.
        labels: One name per class.
        output_kind: What it puts out.
        output_name: Which output holds the classes.
        name: What to call it.
        gradients: Where they come from; None where there are none.
        gradient_graph: uint8, the graph that gradients are made from, where they come from no file.
        gradient_spec: How they want their images.
        gradient_kind: What they put out.
        devices: What they run on where the run was started.
        threads: CPU threads of each worker.
        tools: Versions of what decides numbers.
    """

    graph: UInt8Array
    spec: ImageSpec
    labels: tuple[str, ...]
    output_kind: OutputKind
    output_name: str
    name: str
    gradients: GradientOrigin | None
    gradient_graph: UInt8Array
    gradient_spec: ImageSpec
    gradient_kind: OutputKind
    devices: tuple[str, ...]
    threads: int
    tools: Mapping[str, str]

    @cached_property
    def key(self) -> str:
        """SHA-256, hexadecimal: what processes keep opened models under."""
        said = repr((self.spec, self.labels, self.output_kind, self.output_name, self.gradients, self.gradient_spec))
        digest = hashlib.sha256(f"{said}{self.gradient_kind}{self.threads}{sorted(self.tools.items())}".encode())
        for part in (self.graph, self.gradient_graph):
            digest.update(hashlib.sha256(part.data).digest())
        return digest.hexdigest()

    def open(self) -> Models:
        """Open the models in this process, and set torch's threads.

        Raises:
            ClassifierError: They can't be opened here, or other devices or versions are here.
        """
        _prepare(self.tools, self.threads)
        classifier = OnnxClassifier(
            self.graph.tobytes(),
            spec=self.spec,
            labels=self.labels,
            threads=self.threads,
            output_kind=self.output_kind,
            output_name=self.output_name,
            name=self.name,
        )
        models = Models(classifier, self._open_gradients())
        if (found := devices(classifier, models.gradients)) != self.devices:
            raise ClassifierError(f"a worker would run {found}, and here it is {self.devices}: numbers would differ")
        return models

    def _open_gradients(self) -> TorchClassifier | None:
        if self.gradients is None:
            return None
        self.gradients.check()
        if self.gradients.source is None:
            source = load_onnx_gradients(self.gradient_graph.tobytes())
        else:
            source = load_torch_source(self.gradients.source, self.gradients.state)
        return source.classifier(self.gradient_spec, labels=self.labels, output_kind=self.gradient_kind)


@dataclass(frozen=True)
class NoModels:
    """The recipe of work that asks no models: what holds a worker to the same tools.

    Args:
        threads: CPU threads of each worker.
        tools: Versions of what decides numbers.
    """

    threads: int
    tools: Mapping[str, str]

    @property
    def key(self) -> str:
        """What processes keep it under."""
        return f"no models, {self.threads} threads, {sorted(self.tools.items())}"

    def open(self) -> None:
        """Set torch's threads; there is nothing to open.

        Raises:
            ClassifierError: Other versions are here.
        """
        _prepare(self.tools, self.threads)


def _prepare(tools: Mapping[str, str], threads: int) -> None:
    """Hold this process to the tools of where the run was started, and set torch's threads."""
    import torch

    here = tool_versions()
    other = {tool: f"{here.get(tool)} instead of {known}" for tool, known in tools.items() if here.get(tool) != known}
    if other:
        raise ClassifierError(f"other versions are installed on a worker, which would give other numbers: {other}")
    torch.set_num_threads(threads)


def devices(classifier: OnnxClassifier, gradients: TorchClassifier | None) -> tuple[str, ...]:
    """What the models of a run run on, in words."""
    return (classifier.description, *([f"gradients on {gradients.device}"] if gradients is not None else []))


def file_digest(file: Path) -> str:
    """SHA-256, hexadecimal, of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
