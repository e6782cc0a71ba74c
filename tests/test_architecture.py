"""What may import what, and what is never called: theorems about the sources, read and not run."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import detector

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
MOST_LINES = 400
GENERATED = ("_pb2.py", "_pb2_grpc.py")
OFFLINE = {
    *("torch", "torchvision", "sklearn", "scipy", "matplotlib", "onnx", "onnx2torch", "skl2onnx"),
    *("art", "foolbox", "eagerpy"),
}
TRANSPORT = {"service", "grpc", "grpc_health", "grpc_reflection", "grpc_status", "prometheus_client", "isthmus"}
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
SERVING = (
    "detector",
    "detector.bundle",
    "detector.classifiers.address",
    "detector.classifiers.base",
    "detector.classifiers.breaker",
    "detector.classifiers.remote",
    "detector.classifiers.remote_calls",
    "detector.data.decode",
    "detector.engine.choice",
    "detector.errors",
    "detector.images",
    "detector.profiles",
    "detector.reporting.html",
    "detector.reporting.page_style",
    "detector.verdicts",
    "detector.versions",
)
"""All that the service may take from the detector; each of them leaves the offline packages unloaded."""

RESEARCH = "detector.research"
APPLIES_RESEARCH = {"cli", "research", "transfer"}
"""All of the detector that may take from its research: the commands, and what carries a calibration across."""
STARTED = {"detector.__main__", "service.probe"}
"""Modules that are started and need not be imported: `python -m detector`, and what asks a container how it does."""


def _sources(*folders: str) -> list[Path]:
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]
    assert files
    return [file for file in files if not file.name.endswith(GENERATED)]


DETECTOR = [file for file in _sources("detector") if (ROOT / "detector" / "cli") not in file.parents]
SERVICE = _sources("service")
LOADTEST = _sources("loadtest")
EVERYTHING = _sources("detector", "service", "loadtest", "benchmarks", "tests", "protos")


def _named(file: Path) -> str:
    return str(file.relative_to(ROOT))


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def _imported(tree: ast.Module) -> Iterator[str]:
    """Every module that is imported anywhere in a file, also inside functions and for types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide from these checks"
            yield str(node.module)
        elif isinstance(node, ast.Call) and _called(node) in {"importlib.import_module", "import_module", "__import__"}:
            yield from (str(argument.value) for argument in node.args[:1] if isinstance(argument, ast.Constant))


def _tops(file: Path) -> set[str]:
    return {name.split(".")[0] for name in _imported(_tree(file))}


def _called(call: ast.Call) -> str:
    """The dotted name that is called, as it is written."""
    return ast.unparse(call.func)


def _calls(file: Path, *names: str) -> list[ast.Call]:
    nodes = (node for node in ast.walk(_tree(file)) if isinstance(node, ast.Call))
    return [node for node in nodes if _called(node) in names]


def _says(call: ast.Call, keyword: str, *, value: bool) -> bool:
    given = [k.value for k in call.keywords if k.arg == keyword]
    return len(given) == 1 and isinstance(given[0], ast.Constant) and given[0].value is value


@pytest.mark.parametrize("file", DETECTOR, ids=_named)
def test_the_detector_knows_no_transport(file: Path) -> None:
    assert not _tops(file) & TRANSPORT


@pytest.mark.parametrize("file", DETECTOR, ids=_named)
def test_nothing_rests_on_research_but_what_applies_it(file: Path) -> None:
    if file.relative_to(ROOT).parts[1] not in APPLIES_RESEARCH:
        assert not [name for name in _imported(_tree(file)) if name.startswith(RESEARCH)]


@pytest.mark.parametrize("file", _sources("detector/research"), ids=_named)
def test_analyses_do_not_know_one_another(file: Path) -> None:
    own = file.relative_to(ROOT / "detector" / "research").parts[0]
    taken = {name.split(".")[2] for name in _imported(_tree(file)) if name.startswith(f"{RESEARCH}.")}
    analyses = {folder.name for folder in (ROOT / "detector" / "research").iterdir() if folder.is_dir()}
    assert not (taken & analyses) - {own}


def test_there_is_no_module_that_nobody_needs() -> None:
    needed = {name for file in _sources("detector", "service", "loadtest", "benchmarks") for name in _needed(file)}
    modules = {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in _sources("detector", "service")}
    assert {name for name in modules - needed if not name.endswith("__init__")} == STARTED


def _needed(file: Path) -> Iterator[str]:
    """Every module that is imported by a file, also as a name of its package."""
    yield from _imported(_tree(file))
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", SERVICE, ids=_named)
def test_the_service_knows_no_offline_package_and_of_the_detector_what_serves(file: Path) -> None:
    assert not _tops(file) & OFFLINE
    taken = {name for name in _imported(_tree(file)) if name.split(".")[0] == "detector"}
    assert taken <= set(SERVING)


@pytest.mark.parametrize("file", LOADTEST, ids=_named)
def test_load_tests_know_no_offline_package(file: Path) -> None:
    assert not _tops(file) & OFFLINE


@pytest.mark.parametrize("file", DETECTOR + SERVICE, ids=_named)
def test_what_is_loaded_knows_no_load_test(file: Path) -> None:
    assert not _tops(file) & {"loadtest", "locust", "gevent", "benchmarks"}


@pytest.mark.parametrize("file", EVERYTHING, ids=_named)
def test_nothing_is_unpickled(file: Path) -> None:
    assert not _tops(file) & UNPICKLERS
    for call in _calls(file, "torch.load"):
        assert _says(call, "weights_only", value=True), f"line {call.lineno}"
    for call in _calls(file, "np.load", "numpy.load", "npy.read_array", "np.lib.format.read_array"):
        assert _says(call, "allow_pickle", value=False), f"line {call.lineno}"


@pytest.mark.parametrize("file", EVERYTHING, ids=_named)
def test_files_stay_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("import torch.nn as nn", {"torch.nn"}),
        ("def f():\n    from detector.cli import main", {"detector.cli"}),
        ("if TYPE_CHECKING:\n    import pickle, numpy", {"pickle", "numpy"}),
        ("importlib.import_module('dill')", {"dill"}),
    ],
)
def test_these_checks_see_every_kind_of_import(source: str, imported: set[str]) -> None:
    assert set(_imported(ast.parse(source))) == imported


def test_the_public_surface_is_pinned() -> None:
    assert sorted(detector.__all__) == ["Bundle", "Detection", "Detector", "TargetRates", "Verdict", "read_bundle"]
    assert all(hasattr(detector, name) for name in detector.__all__)


def test_a_wheel_would_hold_every_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    found = {
        ".".join(file.parent.relative_to(ROOT / under).parts)
        for name, under in (("detector", "."), ("service", "."), ("isthmus", "protos"))
        for file in (ROOT / under / name).rglob("*.py")
    }
    assert set(listed) == found
