"""The images as they are written down; test_docker_stages.py carries their stages out."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from deploy.docker.requirements import requirements
from service.settings import ENV_PREFIX, ServiceSettings
from tests.deploy.container import Container, confinement
from tests.deploy.dockerfile import Dockerfile, Ignore
from tests.deploy.serving import answers_and_stops
from tests.service.support import python_environment

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "docker" / "Dockerfile"
DOCKERFILE = Dockerfile.read(FILE)
IGNORE = Ignore.read(ROOT / ".dockerignore")
CONSTRAINTS = (ROOT / "constraints.txt").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SERVERS = ("cpu", "gpu", "cpu-bundle", "gpu-bundle")
IMAGES = (*SERVERS, "offline")


def _without_a_rule_broken(text: str) -> list[str]:
    linter = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([linter, "-"], input=text, capture_output=True, text=True, check=False)
    assert not found.stderr
    return found.stdout.splitlines()


def test_hadolint_finds_nothing_and_would() -> None:
    text = FILE.read_text()
    assert _without_a_rule_broken(text) == []
    assert len(_without_a_rule_broken(text + "RUN cd /tmp && sudo pip install numpy\nCMD isthmus serve\n")) > 2


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_no_root_and_needs_no_shell(image: str) -> None:
    user, group = DOCKERFILE.values(image, "USER")[-1].value.split(":")
    assert int(user) > 0 < int(group)
    entry, command = (DOCKERFILE.values(image, keyword)[-1].exec_form for keyword in ("ENTRYPOINT", "CMD"))
    assert entry[0] in PROJECT["scripts"]
    assert all(isinstance(word, str) for word in command)
    done = {i.keyword for i in DOCKERFILE.stages[image].instructions} | {
        i.keyword for i in DOCKERFILE.stages["runtime"].instructions
    }
    assert "RUN" not in done, "what has no shell can run nothing while it is built"


@pytest.mark.parametrize("image", ["cpu", "gpu", "offline"])
def test_nothing_is_collected_for_the_runtimes_maker(image: str, tmp_path: Path) -> None:
    """Without the image's variable, importing it gives the machine an identifier and begins a list of what to send."""
    environment = DOCKERFILE.environment(image) | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-I", "-c", "import onnxruntime"], check=True, env=environment, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("image", SERVERS)
def test_a_server_image_says_how_it_is_reached_and_asked(image: str) -> None:
    fields = ServiceSettings.model_fields
    ports = {str(fields[name].default) for name in ("port", "metrics_port")}
    assert set(DOCKERFILE.values(image, "EXPOSE")[-1].value.split()) == ports
    assert DOCKERFILE.values(image, "STOPSIGNAL")[-1].value == "SIGTERM"
    probe = DOCKERFILE.values(image, "HEALTHCHECK")[-1].exec_form
    assert probe[:2] == ["python", "-m"]
    assert find_spec(probe[2]) is not None


@pytest.mark.parametrize("image", IMAGES)
def test_every_variable_is_a_setting_of_the_server_or_of_no_server(image: str) -> None:
    names = {name.removeprefix(ENV_PREFIX).lower() for name in DOCKERFILE.environment(image) if ENV_PREFIX in name}
    assert names <= set(ServiceSettings.model_fields)
    assert bool(names) == (image in SERVERS)


@pytest.mark.parametrize("name", DOCKERFILE.stages)
def test_what_a_stage_copies_is_there_and_not_ignored(name: str) -> None:
    for copied in DOCKERFILE.stages[name].values("COPY"):
        flag, *words = copied.value.split()
        if flag.startswith("--from="):
            assert flag.removeprefix("--from=") in DOCKERFILE.stages
            continue
        for source in [flag, *words][:-1]:
            if source == "${BUNDLE}":
                assert not IGNORE.hides("bundles/cifar10/manifest.json")
                continue
            assert (ROOT / source).exists(), source
            assert not IGNORE.hides(source)


@pytest.mark.parametrize(
    "path", [".git/config", ".venv/bin/python", "tests/conftest.py", "detector/__pycache__/a.pyc", "key.pem", "deploy"]
)
def test_builds_see_no_more_than_they_need(path: str) -> None:
    assert IGNORE.hides(path)


def test_stages_copy_from_stages_before_them_and_pin_what_the_project_pins() -> None:
    assert DOCKERFILE.arguments["PYTHON"].split(":")[1].startswith("3.11-slim")
    (torch,) = (arg.value for arg in DOCKERFILE.stages["build-offline"].values("ARG"))
    pinned = torch.removeprefix("TORCH=")
    assert pinned in CONSTRAINTS.splitlines()
    assert f"TORCH := {pinned}" in (ROOT / "Makefile").read_text()


def _names(lines: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in lines}


def test_the_cpu_image_swaps_the_runtime_and_nothing_else() -> None:
    asked = requirements("cpu", PROJECT, CONSTRAINTS)
    assert _names(asked) == _names(PROJECT["dependencies"]) - {"onnxruntime-gpu"} | {"onnxruntime"} | _names(
        PROJECT["optional-dependencies"]["tracing"]
    )
    (runtime,) = (line for line in asked if line.startswith("onnxruntime"))
    assert runtime.replace("onnxruntime", "onnxruntime-gpu") in CONSTRAINTS.splitlines(), "the version tests run with"


@pytest.mark.parametrize("image", ["gpu", "offline"])
def test_the_other_images_have_the_runtime_for_gpus(image: str) -> None:
    asked = requirements(image, PROJECT, CONSTRAINTS)
    assert _names(asked) >= _names(PROJECT["dependencies"])
    assert ("torch" in _names(asked)) == (image == "offline")


def test_requirements_that_can_not_be_told_are_refused() -> None:
    with pytest.raises(SystemExit, match="no image 'tpu'"):
        requirements("tpu", PROJECT, CONSTRAINTS)
    with pytest.raises(SystemExit, match=r"pinned in constraints\.txt"):
        requirements("cpu", PROJECT, "numpy==2.0\n")


async def test_the_images_command_serves_without_home_shell_rights_or_a_place_to_write(digits_bundle: Path) -> None:
    """With this environment's packages; test_docker_stages.py does the same with the image's own."""
    confinement()
    programs = Path(sys.executable).parent
    assert shutil.which("isthmus", path=str(programs))
    container = Container(DOCKERFILE, "cpu", programs, {"PYTHONPATH": python_environment()["PYTHONPATH"]})
    await answers_and_stops(container, digits_bundle)
