"""Reads and checks Kubernetes manifests: core kinds against Kubernetes' own schemas, others against schemas/.

kubernetes-validate has the schemas of Kubernetes' own kinds alone. Those in schemas/ are written here: the fields that
are used, strictly, as the projects document them; what pods have in them is checked as a pod's.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped] # published without types
import kubernetes_validate  # type: ignore[import-untyped] # likewise
import yaml

VERSIONS: Final = ("1.35", "1.36", "1.37")
"""The newest that there are schemas of."""
_OWN: Final = Path(__file__).parent / "schemas"
Manifest = dict[str, Any]


def documents(text: str) -> list[Manifest]:
    """What a file of manifests holds."""
    return [document for document in yaml.safe_load_all(text) if document]


def check(manifest: Manifest, version: str) -> None:
    """Refuse a manifest that a cluster of this version would refuse, or whose unknown fields it would drop.

    Raises:
        AssertionError: It is wrong; says where.
    """
    _check(json.dumps(manifest, sort_keys=True), version)


@cache
def _check(text: str, version: str) -> None:
    """Many renderings share many manifests, and reading the schemas takes long."""
    manifest = json.loads(text)
    where = f"{manifest.get('kind')} {manifest.get('metadata', {}).get('name')}"
    own = _OWN / f"{str(manifest.get('kind')).lower()}.json"
    try:
        if own.is_file():
            jsonschema.validate(manifest, _schema(own))
            for part in _pods(manifest):
                kubernetes_validate.validate(part, version, strict=True)
        else:
            kubernetes_validate.validate(manifest, version, strict=True)
    except (kubernetes_validate.ValidationError, jsonschema.ValidationError) as error:
        raise AssertionError(f"{where} in {version}: {error.message} at {list(error.absolute_path)}") from error


@cache
def _schema(file: Path) -> Manifest:
    schema: Manifest = json.loads(file.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    return schema


def _pods(manifest: Manifest) -> list[Manifest]:
    """What a resource of another project has of a core kind, as that kind."""
    spec = manifest["spec"]
    match manifest["kind"]:
        case "ServingRuntime":
            fields = ("containers", "volumes", "nodeSelector", "tolerations", "affinity", "imagePullSecrets")
            return [_pod({name: spec[name] for name in fields if name in spec})]
        case "InferenceService":
            model = spec["predictor"]["model"]
            container = {name: model[name] for name in ("resources", "env", "args", "ports") if name in model}
            shared = ("securityContext", "tolerations", "nodeSelector", "serviceAccountName")
            kept = {name: spec["predictor"][name] for name in shared if name in spec["predictor"]}
            return [_pod(kept | {"containers": [{"name": "model", **container}]})]
        case "ScaledObject":
            behaviour = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("behavior", {})
            target = {"kind": "Deployment", **spec["scaleTargetRef"]}
            scaler = {"maxReplicas": spec["maxReplicaCount"], "scaleTargetRef": target, "behavior": behaviour}
            kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
            return [kind | {"metadata": {"name": "scaler"}, "spec": scaler}]
    return []


def _pod(spec: Manifest) -> Manifest:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "part"}, "spec": spec}
