from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from detector import Detector
from detector.classifiers.base import PixelType
from detector.classifiers.session import open_session
from detector.engine.choice import EngineChoice
from detector.engine.fused import FusedEngine
from detector.engine.fusing.fuse import fuse
from detector.engine.fusing.pixels import PixelForm
from detector.errors import BundleError, ClassifierError, ClassifierMismatchError, FusionError
from tests.engine.test_fused import PLAN, RGB
from tests.support.graphs import chain
from tests.support.variants import fixed_batch
from tests.support.wrapped import noise, wrapped


def test_where_there_can_be_no_graph_the_reference_engine_runs_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    bundle, _ = wrapped(fixed_batch(chain([6, 5]), 2), RGB, PLAN)
    with caplog.at_level(logging.WARNING, "isthmus"):
        detector = Detector(bundle)
    assert "only batches of a fixed size" in caplog.text
    assert detector.description.startswith("reference engine")
    assert len(detector.score_canonical(noise(3, RGB))) == 3
    with pytest.raises(FusionError, match="only batches of a fixed size"):
        Detector(bundle, engine=EngineChoice.FUSED)


def test_the_engine_can_be_chosen() -> None:
    bundle, _ = wrapped(chain([6, 5]), RGB, PLAN)
    assert Detector(bundle).description.startswith("fused engine on ")
    assert Detector(bundle, engine=EngineChoice.FUSED).description.startswith("fused engine on ")
    assert Detector(bundle, engine=EngineChoice.REFERENCE).description.startswith("reference engine, ")


def test_numbers_that_are_none_are_refused() -> None:
    """Divides by how far the first pixel is from 0.5: images with such a pixel have no answer."""
    proto = onnx.load_from_string(chain([5]))
    (answer,) = proto.graph.output
    proto.graph.initializer.append(numpy_helper.from_array(np.array([0.5], np.float32), "half"))
    for name, value in (("from", [0, 0, 0]), ("to", [1, 1, 1]), ("axes", [1, 2, 3])):
        proto.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    last = proto.graph.node[-1]
    last.output[0] = "before"
    proto.graph.node.extend(
        [
            helper.make_node("Slice", [proto.graph.input[0].name, "from", "to", "axes"], ["pixel"]),
            helper.make_node("Flatten", ["pixel"], ["flat"]),
            helper.make_node("Sub", ["flat", "half"], ["distance"]),
            helper.make_node("Div", ["before", "distance"], [answer.name]),
        ]
    )
    bundle, _ = wrapped(proto.SerializeToString(), RGB, replace(PLAN, views=(), residuals=False))
    engine = FusedEngine(bundle)
    images = noise(3, RGB)
    assert np.isfinite(engine.evidence(images).scores).all()
    images[1, 0, 0, 0] = 0.5
    with pytest.raises(ClassifierError, match="NaN or infinite"):
        engine.evidence(images)
    # Where the graph runs alone there is nobody to refuse them; at least they are not benign.
    score, verdict = open_session(fuse(bundle)).runtime.run(["score", "verdict"], {"images": images})
    assert np.isnan(score).tolist() == [False, True, False]
    assert verdict.astype(bool).tolist() == [False, True, False]


def test_a_scorer_of_other_features_is_refused() -> None:
    bundle, _ = wrapped(chain([6, 5]), RGB, PLAN)
    other, _ = wrapped(chain([6, 5]), RGB, replace(PLAN, views=()))
    mixed = replace(bundle, parts=replace(bundle.parts, scorer=other.parts.scorer))
    with pytest.raises(BundleError, match=r"the scorer reads .* features, but the path plan"):
        fuse(mixed)


def test_a_classifier_that_was_swapped_is_noticed() -> None:
    bundle, _ = wrapped(chain([6, 5]), RGB, PLAN)
    other, _ = wrapped(chain([7, 5]), RGB, PLAN)
    mixed = replace(bundle, parts=replace(bundle.parts, classifier=other.parts.classifier))
    with pytest.raises(ClassifierMismatchError, match="calibrate again"):
        Detector(mixed)


def test_what_is_no_graph_is_named() -> None:
    bundle, _ = wrapped(chain([6, 5]), RGB, PLAN)
    parts = bundle.parts
    broken = {"classifier": replace(parts, classifier=b"no graph"), "scorer": replace(parts, scorer=b"no graph")}
    for part, others in broken.items():
        with pytest.raises(FusionError, match=f"the {part}'s graph can't be taken apart"):
            fuse(replace(bundle, parts=others))


def test_half_precision_pixels_are_no_form() -> None:
    with pytest.raises(FusionError, match="uint8 or float32 images, not float16"):
        PixelForm(PixelType.FLOAT16)
