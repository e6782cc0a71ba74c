from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from detector.errors import BundleError
from detector.scoring.one_class import fit_one_class
from detector.scoring.runner import OnnxScorer


def _identity(source: str, result: str) -> bytes:
    inputs = [helper.make_tensor_value_info(source, TensorProto.FLOAT, ["batch"])]
    outputs = [helper.make_tensor_value_info(result, TensorProto.FLOAT, ["batch"])]
    graph = helper.make_graph([helper.make_node("Identity", [source], [result])], "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_bytes_that_are_no_graph_are_refused() -> None:
    model = fit_one_class(np.random.default_rng(0).random((30, 4), np.float32)).model
    assert OnnxScorer(model).features == 4
    for broken in (b"", b"not a graph", model[: len(model) // 2]):
        with pytest.raises(BundleError, match=r"can't be loaded|must map"):
            OnnxScorer(broken)


@pytest.mark.parametrize(("source", "result"), [("images", "score"), ("features", "logits")])
def test_a_graph_of_another_kind_is_refused(source: str, result: str) -> None:
    with pytest.raises(BundleError, match=rf"must map 'features' to 'score', not \['{source}'\] to \['{result}'\]"):
        OnnxScorer(_identity(source, result))
