"""Programs and factories, as users keep them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from detector.classifiers.base import Layout
from detector.classifiers.options import SpecOptions
from detector.classifiers.outputs import probe_images
from detector.classifiers.torch_sources import load_exported, load_factory
from detector.errors import ClassifierError
from tests.support.factories import tiny_net
from tests.support.tiny import TINY_SPEC, tiny_module

if TYPE_CHECKING:
    from pathlib import Path

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier

FACTORY = "tests.support.factories:tiny_net"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "tiny.pt2"
    batch = torch.export.Dim("batch", min=1, max=4096)
    torch.export.save(
        torch.export.export(tiny_module(), (torch.rand(2, *TINY_SPEC.shape),), dynamic_shapes=({0: batch},)), path
    )
    return path


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program for one image at a time, which is what `torch.export` makes unless told otherwise."""
    path = tmp_path_factory.mktemp("programs") / "single.pt2"
    torch.export.save(torch.export.export(tiny_module(), (torch.rand(1, *TINY_SPEC.shape),)), path)
    return path


def test_a_program_declares_its_images(program: Path, tiny: TorchClassifier, images: Float32Array) -> None:
    classifier = load_exported(program).classifier(SpecOptions(), labels=["a", "b", "c", "d"])
    assert classifier.spec == TINY_SPEC
    assert classifier.labels == ("a", "b", "c", "d")
    assert classifier.fixed_batch is None
    np.testing.assert_allclose(classifier.logits(images), tiny.logits(images), atol=1e-5)


def test_a_program_for_one_image_loops(single: Path, tiny: TorchClassifier, images: Float32Array) -> None:
    classifier = load_exported(single).classifier(TINY_SPEC)
    assert classifier.fixed_batch == 1
    np.testing.assert_allclose(classifier.logits(images), tiny.logits(images), atol=1e-5)
    pixels = torch.from_numpy(images).requires_grad_()
    found, wanted = (
        torch.autograd.grad(one.differentiable_logits(pixels)[:, 1].sum(), pixels) for one in (classifier, tiny)
    )
    torch.testing.assert_close(found, wanted)


def test_a_contradicted_program_names_the_field(program: Path) -> None:
    with pytest.raises(ClassifierError, match="height"):
        load_exported(program).classifier(SpecOptions(height=11))
    with pytest.raises(ClassifierError, match=r"takes 10 channels.*is the layout right"):
        load_exported(program).classifier(SpecOptions(layout=Layout.NHWC, height=12, width=10))


def test_a_factory_with_safetensors(tiny: TorchClassifier, images: Float32Array, tmp_path: Path) -> None:
    save_file(tiny_module().state_dict(), tmp_path / "state.safetensors")
    classifier = load_factory(FACTORY, tmp_path / "state.safetensors").classifier(TINY_SPEC)
    np.testing.assert_array_equal(classifier.logits(images), tiny.logits(images))


@pytest.mark.parametrize("nested", [False, True])
def test_a_factory_with_torch_weights(
    nested: bool,  # noqa: FBT001 - a test parameter
    tiny: TorchClassifier,
    images: Float32Array,
    tmp_path: Path,
) -> None:
    state = tiny_module().state_dict()
    torch.save({"state_dict": state, "epoch": 3} if nested else state, tmp_path / "state.pt")
    classifier = load_factory(FACTORY, tmp_path / "state.pt").classifier(TINY_SPEC)
    np.testing.assert_array_equal(classifier.logits(images), tiny.logits(images))


def test_a_factory_without_weights_is_the_same_every_time(images: Float32Array) -> None:
    before = torch.get_rng_state()
    first, second = (load_factory(FACTORY).classifier(TINY_SPEC).logits(images) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_torchvision_models_work_through_the_factory() -> None:
    options = SpecOptions(height=64, width=64, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    classifier = load_factory("torchvision.models:resnet18").classifier(options)
    assert len(classifier.labels) == 1000
    assert classifier.logits(probe_images(classifier.spec, 2)).shape == (2, 1000)


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("tests.support.factories", "written module:function"),
        ("no_such_module_here:build", "No module named"),
        ("tests.support.factories:absent", "absent"),
        ("tests.support.factories:failing", "no weights on this disk"),
        ("tests.support.factories:not_a_module", r"returned str; a torch\.nn\.Module is expected"),
    ],
)
def test_a_bad_factory_is_named(factory: str, reason: str) -> None:
    with pytest.raises(ClassifierError, match=reason):
        load_factory(factory)


def test_a_factory_says_nothing_of_its_images() -> None:
    with pytest.raises(ClassifierError, match="pass height and width"):
        load_factory(FACTORY).classifier(SpecOptions())


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file({"first.weight": torch.zeros(2, 2)}, tmp_path / "state.safetensors")
    with pytest.raises(ClassifierError, match=r"state\.safetensors: these weights can't be loaded"):
        load_factory(FACTORY, tmp_path / "state.safetensors")
    with pytest.raises(ClassifierError, match="no such file"):
        load_factory(FACTORY, tmp_path / "absent.pt")


def test_pickled_modules_are_never_read(tmp_path: Path) -> None:
    torch.save(tiny_net(), tmp_path / "module.pt")
    with pytest.raises(ClassifierError, match="can't be loaded"):
        load_factory(FACTORY, tmp_path / "module.pt")


def test_a_program_that_could_run_code_on_loading_is_refused(program: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered.pt2"
    altered.write_bytes(program.read_bytes())
    with zipfile.ZipFile(altered, "a") as archive:
        archive.writestr("tiny/data/constants/opaque_obj_0", b"cos\nsystem\n.")
    with pytest.raises(ClassifierError, match="could run code on loading"):
        load_exported(altered)


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "text.pt2").write_text("not a program")
    with pytest.raises(ClassifierError, match=r"text\.pt2: not a torch\.export program"):
        load_exported(tmp_path / "text.pt2")
    with zipfile.ZipFile(tmp_path / "empty.pt2", "w") as archive:
        archive.writestr("readme", "nothing")
    with pytest.raises(ClassifierError, match=r"empty\.pt2: not a torch\.export program"):
        load_exported(tmp_path / "empty.pt2")
