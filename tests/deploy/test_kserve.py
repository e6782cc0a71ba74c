"""The KServe manifests."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from detector import read_bundle
from detector.engine.export import ExportOptions, kserve_manifest
from service.settings import ENV_PREFIX, ServiceSettings, load_settings
from tests.deploy.manifests import VERSIONS, Manifest, check, documents

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kserve"
FILES = sorted(FOLDER.glob("*.yaml"))


def _only(file: str) -> Manifest:
    (manifest,) = documents((FOLDER / file).read_text())
    return manifest


RUNTIME = _only("servingruntime.yaml")["spec"]
SERVICE = _only("inferenceservice.yaml")["spec"]
CONTAINER = RUNTIME["containers"][0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_manifests_are_what_clusters_take(file: Path, version: str) -> None:
    for manifest in documents(file.read_text()):
        check(manifest, version)


def test_what_they_do_not_know_is_found() -> None:
    runtime = _only("servingruntime.yaml")
    runtime["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(AssertionError, match="livenessProb"):
        check(runtime, VERSIONS[-1])


def test_the_runtime_is_as_kserve_wants_it() -> None:
    assert CONTAINER["name"] == "kserve-container"
    assert [(port["name"], port["containerPort"]) for port in CONTAINER["ports"]] == [("h2c", 9000)]
    assert RUNTIME["protocolVersions"] == ["grpc-v2"]
    image = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert CONTAINER["image"] == f"isthmus:{image}-cpu"


def test_the_server_is_set_up_by_settings_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in CONTAINER["env"]:
        monkeypatch.setenv(variable["name"], variable.get("value", "2"))
        name = variable["name"].removeprefix(ENV_PREFIX).lower()
        assert name in ServiceSettings.model_fields or variable["name"] == "OMP_NUM_THREADS"
    settings = load_settings()
    assert settings.bundle == Path("/mnt/models")
    probes = [CONTAINER[f"{kind}Probe"]["grpc"]["port"] for kind in ("startup", "readiness", "liveness")]
    assert {settings.port, *probes} == {CONTAINER["ports"][0]["containerPort"]}
    assert RUNTIME["annotations"]["prometheus.kserve.io/port"] == str(settings.metrics_port)
    assert SERVICE["predictor"]["terminationGracePeriodSeconds"] >= settings.drain_delay + settings.grace + 5


def test_the_service_asks_for_the_runtime() -> None:
    model = SERVICE["predictor"]["model"]
    assert model["runtime"] == _only("servingruntime.yaml")["metadata"]["name"]
    assert model["modelFormat"]["name"] in {each["name"] for each in RUNTIME["supportedModelFormats"]}
    assert model["protocolVersion"] in RUNTIME["protocolVersions"]


def test_what_export_writes_for_kserves_triton_is_checked_by_the_same_rules(digits_bundle: Path) -> None:
    (manifest,) = documents(kserve_manifest(read_bundle(digits_bundle), ExportOptions(storage="s3://models")))
    check(manifest, VERSIONS[-1])


def test_pods_keep_to_the_restricted_profile() -> None:
    context = CONTAINER["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
