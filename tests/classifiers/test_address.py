from __future__ import annotations

import pytest

from detector.classifiers.address import RemoteAddress, RemoteModel, is_address, parse_address
from detector.classifiers.base import PixelType
from detector.errors import ClassifierError

ADDRESSES = {
    "grpc://host:8001/resnet": RemoteAddress(target="host:8001", model="resnet"),
    "grpcs://host:8001/resnet/3": RemoteAddress(target="host:8001", tls=True, model="resnet", version="3"),
    "grpc://[::1]:8001/resnet/": RemoteAddress(target="[::1]:8001", model="resnet"),
    "grpc://host:8001": RemoteAddress(target="host:8001"),
    "grpc://host:8001/a%20b?output=logits&input=x&dtype=float16&batch=7": RemoteAddress(
        target="host:8001", model="a b", output="logits", input="x", dtype=PixelType.FLOAT16, batch=7
    ),
}
MODEL = RemoteModel(target="host:8001", tls=True, model="resnet", version="3", input="images", output="logits", batch=7)


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is_read(text: str) -> None:
    assert is_address(text)
    assert parse_address(text) == ADDRESSES[text]


@pytest.mark.parametrize("text", ["model.onnx", "torchvision.models:resnet18", "http://host/model", "grpc:model", ""])
def test_other_classifiers_are_no_addresses(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("grpc://host/model", "names host and port"),
        ("grpc://:8001/model", "names host and port"),
        ("grpc://host:port/model", "not an address"),
        ("grpc://host:99999/model", "not an address"),
        ("grpc://host:1/model/1/infer", "and no more"),
        ("grpc://me:secret@host:1/model", "no user name, password"),
        ("grpc://host:1/model#part", "fragment"),
        ("grpc://host:1/model?outputs=x", "there are input, output, dtype, batch"),
        ("grpc://host:1/model?output=", "'output' is empty"),
        ("grpc://host:1/model?output", "not an address"),
        ("grpc://host:1/model?output=a&output=b", "given twice"),
        ("grpc://host:1/model?batch=0", "1..4096"),
        ("grpc://host:1/model?batch=-3", "1..4096"),
        ("grpc://host:1/model?batch=\u0663", "1..4096"),
        ("grpc://host:1/model?dtype=FP32", "float32"),
        ("http://host:1/model", "grpc:// or grpcs://"),
        ("grpc://host:1/" + "m" * 3000, "2048 characters"),
    ],
)
def test_a_wrong_address_is_refused_for_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ClassifierError, match=complaint):
        parse_address(text)


def test_a_secret_in_an_address_is_not_repeated() -> None:
    with pytest.raises(ClassifierError) as refusal:
        parse_address("grpc://me:secret@host:1/model")
    assert "secret" not in str(refusal.value)


def test_what_a_bundle_keeps_survives_json_and_has_an_address() -> None:
    assert RemoteModel.from_json(MODEL.to_json()) == MODEL
    assert MODEL.url == "grpcs://host:8001/resnet/3"


@pytest.mark.parametrize("name", ["target", "model", "input", "output"])
def test_an_empty_name_is_refused(name: str) -> None:
    with pytest.raises(ClassifierError, match=f"{name} must not be empty"):
        RemoteModel.from_json(MODEL.to_json() | {name: ""})


@pytest.mark.parametrize("batch", [0, 4097, "many"])
def test_a_batch_out_of_range_is_refused(batch: object) -> None:
    with pytest.raises(ClassifierError, match=r"batch|unreadable"):
        RemoteModel.from_json(MODEL.to_json() | {"batch": batch})
