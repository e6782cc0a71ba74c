"""What the chart renders, checked against Kubernetes' schemas and against the server's settings."""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from helm_python.chart import Chart, lint, package

from service.settings import ENV_PREFIX, ServiceSettings, load_settings
from tests.deploy.chart import (
    CHART,
    EVERYTHING,
    MONITORED,
    MUTUAL,
    NAMESPACE,
    OBJECT_STORE,
    PVC,
    RELEASE,
    ROOT,
    SETS,
    TLS,
    only,
    render,
    server,
    variables,
)
from tests.deploy.dockerfile import Dockerfile
from tests.deploy.manifests import VERSIONS, check

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.chart import Values
    from tests.deploy.manifests import Manifest

OTHERS = {"OMP_NUM_THREADS", "OTEL_EXPORTER_OTLP_ENDPOINT"}
"""Variables that are no settings: of the libraries, and of extraEnv."""
OWN_VALUES = {
    *("bundle", "host", "port", "metrics_enabled", "metrics_host", "metrics_port"),
    *("tls_certificate", "tls_key", "tls_client_ca", "auth_tokens"),
}
"""Settings that the chart makes of other values."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEFAULTS: Values = yaml.safe_load((CHART / "values.yaml").read_text())
every_set = pytest.mark.parametrize("name", SETS)


def _pod(manifests: list[Manifest]) -> Manifest:
    spec: Manifest = only(manifests, "Deployment")["spec"]["template"]["spec"]
    return spec


@every_set
def test_what_is_rendered_is_what_clusters_take(name: str) -> None:
    manifests = render(SETS[name])
    for manifest, version in itertools.product(manifests, VERSIONS):
        check(manifest, version)
    assert len({(each["kind"], each["metadata"]["name"]) for each in manifests}) == len(manifests)


@every_set
def test_helm_lint_finds_nothing(name: str) -> None:
    found = lint(CHART, SETS[name], strict=True, namespace=NAMESPACE)
    assert (found["messages"], found["errors"]) == ([], [])


@every_set
def test_every_variable_is_a_setting_that_the_server_takes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = render(SETS[name])
    entries = server(manifests)["env"]
    names = [each["name"] for each in entries]
    assert len(set(names)) == len(names)
    settings = {each.removeprefix(ENV_PREFIX).lower() for each in names if each not in OTHERS}
    assert settings <= set(ServiceSettings.model_fields)
    for entry in entries:
        # Of a limit of two cores, in the pod.
        monkeypatch.setenv(entry["name"], entry.get("value", "2"))
    taken = load_settings()
    given: Values = DEFAULTS["settings"] | SETS[name].get("settings", {})
    assert {each: getattr(taken, each) for each in given} == given
    assert taken.threads == 2
    ports = {each["name"]: each["containerPort"] for each in server(manifests)["ports"]}
    assert ports == {"grpc": taken.port} | ({"metrics": taken.metrics_port} if taken.metrics_enabled else {})


def test_the_charts_values_are_the_servers_defaults() -> None:
    fields = ServiceSettings.model_fields
    assert DEFAULTS["settings"] == {name: fields[name].default for name in DEFAULTS["settings"]}
    assert DEFAULTS["service"]["port"] == fields["port"].default
    assert DEFAULTS["metrics"]["port"] == fields["metrics_port"].default


def test_all_settings_but_those_the_chart_makes_can_be_given() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]["settings"]["properties"]) == set(ServiceSettings.model_fields) - OWN_VALUES
    made = {name.removeprefix(ENV_PREFIX).lower() for name in variables(render(EVERYTHING))}
    assert made >= OWN_VALUES


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"settings": {"drain_delay": 0, "grace": 0}},
        {"settings": {"drain_delay": 12.3, "grace": 300.9}, "termination": {"preStopSeconds": 7, "marginSeconds": 5}},
        {"settings": {"drain_delay": 3600, "grace": 3600}, "termination": {"preStopSeconds": 3600}},
    ],
    ids=str,
)
def test_a_pod_is_killed_after_the_server_had_all_its_time(values: Values, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = render(values)
    for name, value in variables(manifests).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    before = server(manifests).get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})["preStop"]["sleep"]["seconds"]
    assert before == values.get("termination", {}).get("preStopSeconds", 0)
    margin = _pod(manifests)["terminationGracePeriodSeconds"] - (before + settings.drain_delay + settings.grace)
    assert 5 <= margin <= 11


@every_set
def test_pods_keep_to_the_restricted_profile(name: str) -> None:
    """Kubernetes' Pod Security Standards, and a read-only root."""
    pod = _pod(render(SETS[name]))
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    allowed = {"persistentVolumeClaim", "emptyDir", "secret"}
    assert all(set(volume) - {"name"} <= allowed for volume in pod["volumes"] or [])
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    user = Dockerfile.read(ROOT / "deploy/docker/Dockerfile").values("cpu", "USER")[-1].value
    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == user


@every_set
def test_everything_finds_the_pods(name: str) -> None:
    manifests = render(SETS[name])
    labels = only(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    ports = {each["name"] for each in server(manifests)["ports"]}
    selectors = [only(manifests, "Deployment")["spec"]["selector"]["matchLabels"]]
    for manifest in manifests:
        if manifest["kind"] == "Service":
            selectors.append(manifest["spec"]["selector"])
            assert {port["targetPort"] for port in manifest["spec"]["ports"]} <= ports
        elif manifest["kind"] == "PodDisruptionBudget":
            selectors.append(manifest["spec"]["selector"]["matchLabels"])
        elif manifest["kind"] == "NetworkPolicy":
            selectors.append(manifest["spec"]["podSelector"]["matchLabels"])
            assert {rule["ports"][0]["port"] for rule in manifest["spec"]["ingress"]} == ports
    assert len(selectors) >= 3
    assert all(selector and selector.items() <= labels.items() for selector in selectors)


def test_clients_can_balance_by_themselves() -> None:
    headless = only(render({}), "Service", "-headless")
    assert headless["spec"]["clusterIP"] == "None"
    assert "publishNotReadyAddresses" not in headless["spec"], "who is not ready is not called"


@pytest.mark.parametrize(
    ("values", "probe"),
    [
        ({}, {"grpc": {"port": 50051}}),
        ({"service": {"port": 9000}}, {"grpc": {"port": 9000}}),
        (TLS, {"exec": {"command": ["python", "-m", "service.probe"]}}),
        (MUTUAL, {"exec": {"command": ["python", "-m", "service.probe"]}}),
        (
            MUTUAL | {"probes": {"extraArgs": ["--timeout", "2"]}},
            {"exec": {"command": ["python", "-m", "service.probe", "--timeout", "2"]}},
        ),
    ],
    ids=str,
)
def test_probes_speak_what_the_server_speaks(values: Values, probe: Manifest) -> None:
    container = server(render(values))
    for kind in ("startup", "readiness", "liveness"):
        asked = container[f"{kind}Probe"]
        assert probe.items() <= asked.items()
        timing = DEFAULTS["probes"][kind]
        assert {name: asked[name] for name in timing} == timing
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] == 300


def test_kubernetes_own_probes_speak_tls_from_1_37_on() -> None:
    deployment = only(render(TLS | {"probes": {"mode": "grpcTLS"}}), "Deployment")
    check(deployment, "1.37")
    with pytest.raises(AssertionError, match="'mode' was unexpected"):
        check(deployment, "1.36")


@pytest.mark.parametrize(
    ("values", "bundle", "volumes"),
    [
        ({}, "/bundle", {}),
        (PVC, "/bundles/cifar10", {"persistentVolumeClaim": {"claimName": "bundles", "readOnly": True}}),
        (OBJECT_STORE, "/bundles/bundle", {"emptyDir": {"sizeLimit": "2Gi"}}),
    ],
    ids=["image", "pvc", "object-store"],
)
def test_the_bundle_is_where_the_server_looks(values: Values, bundle: str, volumes: Manifest) -> None:
    manifests = render(values)
    assert variables(manifests)["ISTHMUS_BUNDLE"] == bundle
    mounts = server(manifests)["volumeMounts"] or []
    assert mounts == ([{"name": "bundles", "mountPath": "/bundles", "readOnly": True}] if volumes else [])
    assert (_pod(manifests)["volumes"] or []) == ([{"name": "bundles", **volumes}] if volumes else [])


def test_the_init_container_writes_what_the_server_reads() -> None:
    manifests = render(OBJECT_STORE)
    (fetcher,) = _pod(manifests)["initContainers"]
    given = {each["name"]: each["value"] for each in fetcher["env"]}
    assert given["BUNDLE"] == variables(manifests)["ISTHMUS_BUNDLE"]
    assert re.findall(r"\$\((\w+)\)", " ".join(fetcher["args"])) == ["SOURCE", "BUNDLE"]
    assert given["BUNDLE"].startswith(fetcher["volumeMounts"][0]["mountPath"] + "/")
    assert fetcher["envFrom"] == [{"secretRef": {"name": "s3"}}]


def test_files_of_secrets_are_where_the_server_looks() -> None:
    manifests = render(EVERYTHING)
    mounts = {each["name"]: each for each in server(manifests)["volumeMounts"]}
    assert all("subPath" not in mount for mount in mounts.values()), "which would never see a rotated secret"
    secrets = {each["name"]: each["secret"]["secretName"] for each in _pod(manifests)["volumes"] if "secret" in each}
    assert secrets == {"tls": "guard-tls", "client-ca": "callers-ca", "auth": "guard-tokens"}
    given = variables(manifests)
    for variable, volume in {"TLS_CERTIFICATE": "tls", "TLS_CLIENT_CA": "client-ca", "AUTH_TOKENS": "auth"}.items():
        assert given[ENV_PREFIX + variable].startswith(mounts[volume]["mountPath"] + "/")


def test_gpus_are_asked_for_and_the_image_has_what_they_need() -> None:
    container = server(render({"gpu": {"enabled": True, "count": 2}}))
    assert container["resources"]["limits"] == DEFAULTS["resources"]["limits"] | {"nvidia.com/gpu": 2}
    assert container["image"] == f"isthmus:{PROJECT['version']}-gpu"
    assert server(render({}))["image"] == f"isthmus:{PROJECT['version']}-cpu"


def test_rules_and_dashboards_are_those_of_the_repository() -> None:
    manifests = render(MONITORED)
    files = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    assert groups
    assert only(manifests, "PrometheusRule")["spec"]["groups"] == groups
    shown = only(manifests, "ConfigMap", "-dashboards")
    assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"
    boards = {file.name: file.read_text() for file in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")}
    assert boards
    assert {name: json.loads(text) for name, text in shown["data"].items()} == {
        name: json.loads(text) for name, text in boards.items()
    }


@pytest.mark.parametrize(
    "values", [MONITORED, MONITORED | {"fullnameOverride": "eyes-isthmus"}], ids=["plain", "named"]
)
def test_the_operator_scrapes_every_replica_under_a_job_that_alerts_know(values: Values) -> None:
    manifests = render(values)
    monitor, metrics = only(manifests, "ServiceMonitor")["spec"], only(manifests, "Service", "-metrics")
    assert monitor["selector"]["matchLabels"].items() <= metrics["metadata"]["labels"].items()
    others = [each for each in manifests if each["kind"] == "Service" and each is not metrics]
    assert not any(monitor["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items() for each in others)
    assert metrics["spec"]["publishNotReadyAddresses"] is True
    assert [each["port"] for each in monitor["endpoints"]] == [each["name"] for each in metrics["spec"]["ports"]]
    assert "isthmus" in metrics["metadata"]["name"], "the job's name, by which alerts find servers"


@pytest.mark.parametrize("release", ["isthmus", "a", "a-release-whose-name-is-as-long-as-helm-lets-it-be-0123"])
def test_names_are_short_enough_and_say_isthmus(release: str) -> None:
    for manifest in render(MONITORED, release=release):
        name: str = manifest["metadata"]["name"]
        assert len(name) <= 63
        assert "isthmus" in name


def test_the_chart_is_of_the_projects_version() -> None:
    with Chart.load(CHART) as chart:
        assert chart.metadata["appVersion"] == PROJECT["version"]
        assert chart.render({}, name=RELEASE)["isthmus/templates/NOTES.txt"]


def test_an_archive_of_the_chart_has_what_the_chart_links_to(tmp_path: Path) -> None:
    with Chart.load(package(CHART, destination=tmp_path)) as archived, Chart.load(CHART) as chart:
        packed, linked = ({file["name"]: file["data"] for file in each.files} for each in (archived, chart))
        assert archived.version == chart.version
    assert {name.split("/")[1] for name in linked} == {"rules", "dashboards"}
    assert packed == linked


def test_what_kubernetes_does_not_know_is_found() -> None:
    """The checks above could fail."""
    manifests = render(EVERYTHING)
    for kind, path in {
        "Deployment": ("template", "spec"),
        "ServiceMonitor": ("endpoints", 0),
        "PrometheusRule": ("groups", 0),
        "ScaledObject": ("triggers", 0),
    }.items():
        manifest = json.loads(json.dumps(only(manifests, kind)))
        place: Any = manifest["spec"]
        for step in path:
            place = place[step]
        place["grace"] = 1
        with pytest.raises(AssertionError, match="'grace' was unexpected"):
            check(manifest, VERSIONS[-1])


VALUES_TABLE = (ROOT / "docs" / "kubernetes.md").read_text()


def _leaves(values: Values, path: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in values.items():
        here = f"{path}{name}"
        found |= _leaves(value, f"{here}.") if isinstance(value, dict) and value else {here: json.dumps(value)}
    return found


def test_every_value_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `(.*?)` \| \S", VALUES_TABLE, re.MULTILINE)
    assert dict(rows) == _leaves(DEFAULTS)
    assert len(rows) == len(dict(rows))
