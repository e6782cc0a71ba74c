"""Every stage that builds, carried out: its own commands, in an environment of its own. `make test-images`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from tests.deploy.container import Container, confinement
from tests.deploy.dockerfile import Build, Dockerfile, Ignore
from tests.deploy.serving import answers_and_stops

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCKERFILE = Dockerfile.read(ROOT / "deploy" / "docker" / "Dockerfile")
PROGRAMS = "opt/isthmus/bin"
MEBI = 1 << 20
# The rest of what is asked for is looked up by name; the code of all images is the same.
LOADED = """
import sys
from importlib.util import find_spec
print(*(name for name in sys.argv[1:] if find_spec(name)))
"""
# What the CUDA provider links to, less what is found by itself; then all but the driver's must be loaded already.
CUDA = """
import ctypes, onnxruntime, re, subprocess
from pathlib import Path
assert "CUDAExecutionProvider" in onnxruntime.get_available_providers()
provider = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
linked = subprocess.run(["ldd", provider], capture_output=True, text=True, check=True).stdout
wanted = set(re.findall(r"(\\S+) => not found", linked)) - {"libcuda.so.1"}
onnxruntime.preload_dlls()
for name in wanted:
    ctypes.CDLL(name)
print(len(wanted))
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("images")
    return Build(DOCKERFILE, ROOT, Ignore.read(ROOT / ".dockerignore"), folder)


def _python(root: Path, program: str, *words: str) -> str:
    found = subprocess.run(
        [root / PROGRAMS / "python", "-I", "-c", program, *words], capture_output=True, text=True, check=False, cwd="/"
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def _modules(root: Path, *names: str) -> set[str]:
    return set(_python(root, LOADED, *names).split())


def test_the_wheel_holds_all_of_the_code(build: Build) -> None:
    (wheel,) = (build.carry_out("wheel") / "build" / "wheels").glob("*.whl")
    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.endswith(".py")}
    folders = {"detector": ROOT, "service": ROOT, "isthmus": ROOT / "protos"}
    code = {str(f.relative_to(top)) for name, top in folders.items() for f in (top / name).rglob("*.py")}
    assert code - held == set(), "packages that pyproject.toml does not list"


def _installed(root: Path) -> dict[str, str]:
    program = "from importlib.metadata import distributions as d; [print(e.name, e.version) for e in d()]"
    lines = _python(root, program).splitlines()
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in map(str.split, lines)}


def _pinned(*files: str) -> dict[str, str]:
    lines = [line for file in files for line in (ROOT / file).read_text().splitlines() if "==" in line]
    pairs = (line.split("==") for line in lines)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def _unmet(root: Path) -> list[str]:
    command = [sys.executable, "-m", "pip", "--python", str(root / PROGRAMS / "python"), "check"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    return [line for line in found.stdout.splitlines() if line.startswith(tuple(_installed(root)))]


def _report(image: str, root: Path) -> None:
    """The size, as docs/containers.md gives it."""
    files: Iterable[Path] = (file for file in (root / "opt/isthmus").rglob("*") if not file.is_symlink())
    total = sum(file.stat().st_size for file in files)
    sys.stdout.write(f"{image}: {total // MEBI} MiB in /opt/isthmus\n")


async def test_the_cpu_image_serves_with_what_is_pinned_and_without_torch(build: Build, digits_bundle: Path) -> None:
    root = build.carry_out("build-cpu")
    _report("cpu", root)
    assert _modules(root, "detector", "onnxruntime", "torch", "sklearn", "nvidia", "pip") == {"detector", "onnxruntime"}
    installed = _installed(root)
    assert "onnxruntime-gpu" not in installed
    expected = _pinned("constraints.txt") | {"onnxruntime": _pinned("constraints.txt")["onnxruntime-gpu"]}
    assert {name: expected.get(name) for name in installed if name != "isthmus"} == {
        name: version for name, version in installed.items() if name != "isthmus"
    }
    (swapped,) = _unmet(root)
    assert swapped.endswith("requires onnxruntime-gpu, which is not installed.")
    confinement()
    await answers_and_stops(Container(DOCKERFILE, "cpu", root / PROGRAMS, {}), digits_bundle)


async def test_the_gpu_image_has_all_that_the_cuda_provider_links_to(build: Build, digits_bundle: Path) -> None:
    root = build.carry_out("build-gpu")
    _report("gpu", root)
    assert _modules(root, "onnxruntime", "torch") == {"onnxruntime"}
    assert int(_python(root, CUDA)) > 2, "they are none of the system's"
    installed = _installed(root)
    expected = _pinned("constraints.txt", "deploy/docker/constraints-gpu.txt")
    assert {name: expected.get(name) for name in installed if name != "isthmus"} == {
        name: version for name, version in installed.items() if name != "isthmus"
    }
    assert _unmet(root) == []
    confinement()
    await answers_and_stops(Container(DOCKERFILE, "gpu", root / PROGRAMS, {}), digits_bundle)


def test_the_offline_image_makes_a_detector(build: Build, tmp_path: Path) -> None:
    root = build.carry_out("build-offline")
    _report("offline", root)
    everything = {"torch", "sklearn", "matplotlib", "foolbox", "art", "ray", "onnxruntime", "opentelemetry"}
    assert _modules(root, *everything) == everything
    assert _unmet(root) == []
    environment = DOCKERFILE.environment("offline") | {
        "HOME": str(tmp_path),
        "PATH": f"{root / PROGRAMS}:/usr/bin:/bin",
    }
    (entry,) = DOCKERFILE.values("offline", "ENTRYPOINT")[-1].exec_form
    command = [str(root / PROGRAMS / entry), "demo", "--out", "demo"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert (tmp_path / "demo" / "bundle" / "manifest.json").is_file()
