"""Values that are wrong, or do not go together: told before anything reaches a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from helm_python.errors import HelmError

from tests.deploy.chart import MUTUAL, TLS, render

if TYPE_CHECKING:
    from tests.deploy.chart import Values

STORE = {"source": "objectStore", "objectStore": {"source": ":s3:models"}}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"bundle": {"source": "pvc"}}, r"bundle\.pvc\.claimName: must be set"),
        ({"bundle": {"source": "objectStore"}}, r"bundle\.objectStore\.source: must be set"),
        ({"bundle": STORE}, r"networkPolicy\.egress: must let the pods reach the object store"),
        ({"tls": {"enabled": True}}, r"tls\.secretName: must be set"),
        ({"tls": {"clientCASecretName": "ca"}}, r"tls\.enabled: must be set"),
        ({"probes": {"mode": "grpcTLS"}}, r"tls\.enabled: must be set"),
        (TLS | {"probes": {"mode": "grpc"}}, r"probes\.mode: grpc speaks plain text"),
        (MUTUAL | {"probes": {"mode": "grpcTLS"}}, r"probes\.mode: grpcTLS shows no certificate"),
        ({"metrics": {"enabled": False}, "serviceMonitor": {"enabled": True}}, r"metrics\.enabled: must be set"),
        ({"metrics": {"enabled": False}, "autoscaling": {"kind": "keda"}}, r"metrics\.enabled: must be set"),
        ({"autoscaling": {"minReplicas": 11}}, r"autoscaling\.maxReplicas: must be at least"),
    ],
    ids=str,
)
def test_values_that_do_not_go_together_are_named(values: Values, says: str) -> None:
    with pytest.raises(HelmError, match=says):
        render(values)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"replica": 2}, "replica"),
        ({"settings": {"drain_delai": 5}}, "drain_delai"),
        ({"settings": {"drain_delay": -1}}, "drain_delay"),
        ({"settings": {"drain_delay": None}}, "drain_delay"),
        ({"settings": {"port": 1}}, "port"),
        ({"extraEnv": [{"name": "ISTHMUS_GRACE", "value": "600"}]}, "extraEnv"),
        ({"fullnameOverride": "eyes"}, "fullnameOverride"),
        ({"bundle": {"pvc": {"path": "/bundles"}}}, "path"),
        ({"autoscaling": {"kind": "both"}}, "kind"),
        ({"autoscaling": {"engineUtilisation": 70}}, "engineUtilisation"),
        ({"termination": {"marginSeconds": 0}}, "marginSeconds"),
    ],
    ids=str,
)
def test_values_out_of_range_and_unknown_ones_are_named(values: Values, names: str) -> None:
    with pytest.raises(HelmError, match=names):
        render(values)
