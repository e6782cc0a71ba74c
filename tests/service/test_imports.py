from __future__ import annotations

import pytest

from tests.service.support import run_python

OFFLINE_ONLY = ("torch", "torchvision", "sklearn", "matplotlib", "onnx", "skl2onnx", "art")


@pytest.mark.parametrize("module", ["service.server", "service.client", "tests.support.brightness"])
def test_importing_the_service_leaves_offline_packages_unloaded(module: str) -> None:
    program = f"import {module}, sys; print([name for name in {OFFLINE_ONLY} if name in sys.modules])"
    found = run_python(program)
    assert found.stdout.strip() == "[]"


def test_importing_the_detector_has_onnx_runtime_tell_nobody() -> None:
    found = run_python("import detector, os; print(os.environ['ORT_DISABLE_TELEMETRY'])")
    assert found.stdout.strip() == "1"


def test_the_detector_knows_no_transport() -> None:
    program = "import detector, sys; print([m for m in ('grpc', 'prometheus_client', 'service') if m in sys.modules])"
    found = run_python(program)
    assert found.stdout.strip() == "[]"
