"""The Helm chart, rendered without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from helm_python.chart import Chart

from tests.deploy.manifests import Manifest, documents

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "deploy" / "helm" / "isthmus"
RELEASE: Final = "guard"
NAMESPACE: Final = "models"
Values = dict[str, Any]

MONITORED: Final[Values] = {
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True},
    "dashboard": {"enabled": True},
}
TLS: Final[Values] = {"tls": {"enabled": True, "secretName": "guard-tls"}, "auth": {"secretName": "guard-tokens"}}
MUTUAL: Final[Values] = {"tls": {"enabled": True, "secretName": "guard-tls", "clientCASecretName": "callers-ca"}}
GPU: Final[Values] = {"gpu": {"enabled": True, "runtimeClassName": "nvidia"}}
PVC: Final[Values] = {
    "bundle": {"source": "pvc", "pvc": {"claimName": "bundles", "path": "cifar10"}},
    "settings": {"watch_interval": 30},
}
OBJECT_STORE: Final[Values] = {
    "bundle": {"source": "objectStore", "objectStore": {"source": ":s3:models/cifar10", "secretName": "s3"}},
    "networkPolicy": {"egress": [{"ports": [{"port": 443}, {"port": 53, "protocol": "UDP"}]}]},
}
PEERS: Final = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "callers"}}}]
EVERYTHING: Final[Values] = {
    **MONITORED,
    **MUTUAL,
    **GPU,
    "fullnameOverride": "isthmus-eyes",
    "auth": {"secretName": "guard-tokens"},
    "bundle": OBJECT_STORE["bundle"],
    "image": {"tag": "1", "pullSecrets": [{"name": "registry"}]},
    "networkPolicy": OBJECT_STORE["networkPolicy"] | {"grpcFrom": PEERS, "metricsFrom": PEERS},
    "settings": {
        "drain_delay": 2.5,
        "grace": 60,
        "max_message_bytes": 134217728,
        "policy": "withhold",
        "tracing": True,
    },
    "extraEnv": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4317"}],
    "extraVolumes": [{"name": "audit", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "audit", "mountPath": "/audit"}],
    "termination": {"preStopSeconds": 3},
    "autoscaling": {"kind": "keda"},
    "podLabels": {"team": "vision"},
    "podAnnotations": {"note": "x"},
    "service": {"type": "LoadBalancer", "annotations": {"note": "x"}},
    "serviceAccount": {"annotations": {"note": "x"}},
    "priorityClassName": "high",
    "nodeSelector": {"pool": "gpus"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [
        {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    ],
}
SETS: Final[dict[str, Values]] = {
    "default": {},
    "monitored": MONITORED,
    "unmonitored": {"metrics": {"enabled": False}},
    "tls": TLS,
    "mutual-tls": MUTUAL,
    "gpu": GPU,
    "hpa": {"autoscaling": {"kind": "hpa"}},
    "keda": {"autoscaling": {"kind": "keda"}},
    "image": {"bundle": {"source": "image"}, "image": {"repository": "registry.example/isthmus", "tag": "cifar10"}},
    "pvc": PVC,
    "object-store": OBJECT_STORE,
    "bare": {
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "serviceAccount": {"create": False},
        "autoscaling": {"kind": "hpa", "queueSeconds": 0},
    },
    "everything": EVERYTHING,
}


def render(values: Values, *, release: str = RELEASE) -> list[Manifest]:
    """All that the chart makes of values."""
    with Chart.load(CHART) as chart:
        rendered = chart.render(values, name=release, namespace=NAMESPACE)
    return [each for path, text in rendered.items() if path.endswith(".yaml") for each in documents(text)]


def only(manifests: list[Manifest], kind: str, name: str = "") -> Manifest:
    """The one manifest of this kind, or the one whose name ends so."""
    (found,) = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"].endswith(name)]
    return found


def server(manifests: list[Manifest]) -> Manifest:
    """The server's container."""
    (container,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(container)


def variables(manifests: list[Manifest]) -> dict[str, str]:
    """The variables that the server gets by value."""
    return {each["name"]: each["value"] for each in server(manifests)["env"] if "value" in each}
