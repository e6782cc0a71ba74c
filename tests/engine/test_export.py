from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
import yaml
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from detector import Detector, Verdict, read_bundle
from detector.classifiers.base import Layout, PixelType
from detector.engine.export import ExportOptions, export
from detector.engine.fusing.pixels import PixelForm
from detector.errors import BundleError, FusionError
from tests.engine.test_fused import PLAN, RGB
from tests.support.commands import finished
from tests.support.graphs import chain
from tests.support.variants import fixed_batch
from tests.support.wrapped import wrapped

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault

LEVELS = (Verdict.BENIGN, Verdict.SUSPECT, Verdict.ADVERSARIAL)


def test_what_is_exported_answers_in_bare_onnx_runtime_as_the_detector_does(
    digits_bundle: Path, digits: EmbeddedDefault, tmp_path: Path
) -> None:
    out = tmp_path / "models"
    told = finished("export", str(digits_bundle), "--out", str(out), "--profile")
    assert told.returncode == 0, told.stderr
    session = onnxruntime.InferenceSession(out / "isthmus" / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"images": digits.test.pixels}), strict=True))
    wanted = Detector.load(digits_bundle).score(digits.test.pixels)
    np.testing.assert_array_equal(found["logits"].argmax(axis=1), wanted.predicted)
    np.testing.assert_allclose(found["score"], wanted.scores, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["p_value"], wanted.p_values, atol=0.01)
    verdicts = np.array([LEVELS[level] for level in found["verdict"]])
    assert (verdicts == np.array(wanted.verdicts)).mean() > 0.99  # a p-value may round to the other side of a threshold
    np.testing.assert_allclose(found["barrier_height"], wanted.barrier_heights, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["path_logits"], wanted.profile.logits, rtol=1e-3, atol=1e-3)
    assert session.get_modelmeta().custom_metadata_map["isthmus_bundle"] == read_bundle(digits_bundle).digest


@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize(("dtype", "layout"), [(PixelType.UINT8, Layout.NHWC), (PixelType.FLOAT32, Layout.NCHW)])
def test_triton_can_read_its_configuration_and_it_is_the_graphs(
    tmp_path: Path, dtype: PixelType, layout: Layout, *, profile: bool
) -> None:
    bundle, _ = wrapped(chain([6, 5]), RGB, PLAN)
    options = ExportOptions(form=PixelForm(dtype, layout), profile=profile, max_batch=16, name="guard-1")
    export(bundle, tmp_path / "models", options)
    folder = tmp_path / "models" / "guard-1"
    config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    assert config.name == "guard-1"
    assert config.max_batch_size == 16
    session = onnxruntime.InferenceSession(folder / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    kinds = {"tensor(uint8)": "TYPE_UINT8", "tensor(float)": "TYPE_FP32", "tensor(double)": "TYPE_FP64"}
    kinds["tensor(int64)"] = "TYPE_INT64"
    for wanted, given in ((session.get_inputs(), config.input), (session.get_outputs(), config.output)):
        assert [entry.name for entry in wanted] == [entry.name for entry in given]
        for one, other in zip(wanted, given, strict=True):
            assert model_config_pb2.DataType.Name(other.data_type) == kinds[one.type]
            sizes = [size if isinstance(size, int) else -1 for size in one.shape[1:]]
            assert list(other.dims) == (sizes or [1])
            assert other.HasField("reshape") == (not sizes)
    assert (folder / "labels.txt").read_text().splitlines() == list(bundle.manifest.labels)


def test_the_manifest_for_kserve_names_model_and_bundle(tmp_path: Path) -> None:
    bundle, _ = wrapped(chain([6, 5]), RGB, PLAN)
    export(bundle, tmp_path / "models", ExportOptions(storage="s3://bucket/models: odd"))
    manifest = yaml.safe_load((tmp_path / "models" / "kserve.yaml").read_text())
    assert manifest["kind"] == "InferenceService"
    assert manifest["metadata"] == {"name": "isthmus", "annotations": {"isthmus/bundle": bundle.digest}}
    model = manifest["spec"]["predictor"]["model"]
    assert model["storageUri"] == "s3://bucket/models: odd"
    assert model["protocolVersion"] == "grpc-v2"


def test_nothing_is_written_over_by_accident(tmp_path: Path) -> None:
    bundle, _ = wrapped(chain([6, 5]), RGB, PLAN)
    out = tmp_path / "models"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(BundleError, match="exists; choose another place"):
            export(bundle, out, ExportOptions(), overwrite=overwrite)
    assert (out / "thesis.tex").read_text() == "years of work"
    out = tmp_path / "others"
    export(bundle, out, ExportOptions())
    with pytest.raises(BundleError, match="pass --overwrite"):
        export(bundle, out, ExportOptions())
    export(bundle, out, ExportOptions(name="other"), overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["kserve.yaml", "other"]


@pytest.mark.parametrize("name", ["", "Isthmus", "a_b", "-a", "a-", "1a", "a/b", "a" * 64])
def test_a_name_that_kubernetes_would_refuse_is_refused(name: str) -> None:
    with pytest.raises(BundleError, match=r"--name must be lower-case"):
        ExportOptions(name=name)


def test_no_batch_is_refused() -> None:
    with pytest.raises(BundleError, match=r"--max-batch must be at least 1, not 0"):
        ExportOptions(max_batch=0)


def test_a_classifier_of_fixed_batches_can_not_be_exported(tmp_path: Path) -> None:
    bundle, _ = wrapped(fixed_batch(chain([6, 5])), RGB, PLAN)
    with pytest.raises(FusionError, match="only batches of a fixed size"):
        export(bundle, tmp_path / "models", ExportOptions())
    assert not (tmp_path / "models").exists()
