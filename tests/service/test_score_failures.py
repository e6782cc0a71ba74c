"""Bad requests: each is refused by name, and the server answers the next good one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.errors import InvalidInputError, LimitExceededError
from isthmus.v1 import detector_pb2 as pb
from service.client import AsyncClient
from service.status import DETAILS_KEY
from tests.service.support import StartServer, random_pixels, score_method
from tests.support.pictures import bomb, encoded

if TYPE_CHECKING:
    from service.server import RunningServer
    from tests.service.support import StartServer

PIXELS = random_pixels(4, 8, 8, 3)
GOOD_FILE = encoded(PIXELS[0])
FLOATS = (PIXELS / 255).astype("<f4")

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def files(*images: bytes, **fields: Any) -> pb.ScoreRequest:
    return pb.ScoreRequest(encoded=pb.EncodedImages(images=images), **fields)


def tensor(
    data: bytes = FLOATS.tobytes(),
    shape: tuple[int, ...] = (4, 8, 8, 3),
    kind: int = pb.PIXEL_TYPE_FLOAT32,
    layout: int = 1,
) -> pb.ScoreRequest:
    return pb.ScoreRequest(tensor=pb.ImageTensor(data=data, shape=shape, pixel_type=kind, layout=layout))  # type: ignore[arg-type] # unknown enums too


def floats(value: float) -> bytes:
    """Four images of which the third has a pixel of `value`."""
    pixels = FLOATS.copy()
    pixels[2, 4, 4, 1] = value
    return pixels.tobytes()


CASES = {
    "no input": (pb.ScoreRequest(), INVALID, "input"),
    "no files": (files(), INVALID, "encoded.images"),
    "too many files": (files(*[GOOD_FILE] * 9), EXHAUSTED, "encoded.images"),
    "empty file": (files(GOOD_FILE, b""), INVALID, "encoded.images[1]"),
    "text named .png": (files(GOOD_FILE, GOOD_FILE, b"I am a text.\n" * 9), INVALID, "encoded.images[2]"),
    "truncated jpeg": (files(GOOD_FILE, encoded(PIXELS[0], "jpeg")[:-40]), INVALID, "encoded.images[1]"),
    "giant png": (files(bomb(50_000, 50_000)), EXHAUSTED, "encoded.images[0]"),
    "file of too many bytes": (files(GOOD_FILE, GOOD_FILE + bytes(200_000)), EXHAUSTED, "encoded.images[1]"),
    "unknown policy": (files(GOOD_FILE, bad_image_policy=77), INVALID, "bad_image_policy"),
    "no pixel type": (tensor(kind=pb.PIXEL_TYPE_UNSPECIFIED), INVALID, "tensor.pixel_type"),
    "unknown pixel type": (tensor(kind=9), INVALID, "tensor.pixel_type"),
    "unknown layout": (tensor(layout=-3), INVALID, "tensor.layout"),
    "wrong dtype": (tensor(kind=pb.PIXEL_TYPE_UINT8), INVALID, "tensor.data"),
    "no shape": (tensor(shape=()), INVALID, "tensor.shape"),
    "three axes": (tensor(shape=(8, 8, 3)), INVALID, "tensor.shape"),
    "wrong size": (tensor(shape=(4, 8, 9, 3)), INVALID, "tensor.shape"),
    "wrong channel count": (tensor(shape=(12, 8, 8, 1)), INVALID, "tensor.shape"),
    "layout other than said": (tensor(layout=pb.LAYOUT_NCHW), INVALID, "tensor.shape"),
    "negative count": (tensor(shape=(-4, 8, 8, 3)), INVALID, "tensor.shape"),
    "empty batch": (tensor(data=b"", shape=(0, 8, 8, 3)), INVALID, "tensor"),
    "too many images": (tensor(shape=(9, 8, 8, 3)), EXHAUSTED, "tensor"),
    "a petabyte by its header": (tensor(shape=(1 << 50, 8, 8, 3)), EXHAUSTED, "tensor"),
    "too few bytes": (tensor(data=FLOATS.tobytes()[:-1]), INVALID, "tensor.data"),
    "NaN": (tensor(data=floats(float("nan"))), INVALID, "tensor[2]"),
    "infinite": (tensor(data=floats(float("inf"))), INVALID, "tensor[2]"),
    "above one": (tensor(data=floats(1.5)), INVALID, "tensor[2]"),
    "below zero": (tensor(data=floats(-0.1)), INVALID, "tensor[2]"),
}


@pytest.fixture
async def small_server(start_server: StartServer) -> RunningServer:
    return await start_server(max_images=8, max_image_bytes=100_000, max_message_bytes=300_000)


@pytest.mark.parametrize("case", CASES)
async def test_bad_request_is_refused_by_name_and_the_server_lives_on(small_server: RunningServer, case: str) -> None:
    request, code, field = CASES[case]
    async with grpc.aio.insecure_channel(small_server.target) as channel:
        call = score_method(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(request.SerializeToString())
        assert caught.value.code() is code
        assert (caught.value.details() or "").startswith(f"{field}: ")
        assert _named_field(caught.value) == field
        assert len(pb.ScoreResponse.FromString(await call(tensor().SerializeToString())).results) == 4


async def test_oversized_message_is_refused_and_the_server_lives_on(small_server: RunningServer) -> None:
    request = files(*[bytes(99_000)] * 4).SerializeToString()
    async with grpc.aio.insecure_channel(small_server.target) as channel:
        call = score_method(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(request)
        assert caught.value.code() is EXHAUSTED
        assert f"{len(request)} vs. 300000" in (caught.value.details() or "")
        assert await call(tensor().SerializeToString())


async def test_bytes_that_are_no_message_are_invalid(small_server: RunningServer) -> None:
    async with grpc.aio.insecure_channel(small_server.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await score_method(channel)(b"\xff\xff\xff\xff")
    assert caught.value.code() is INVALID
    assert _named_field(caught.value) == "request"


async def test_a_message_of_countless_empty_images_is_refused(small_server: RunningServer) -> None:
    inner = b"\x0a\x00" * 8000
    async with grpc.aio.insecure_channel(small_server.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="holds more than 264 values") as caught:
            await score_method(channel)(b"\x0a\x80\x7d" + inner)
    assert caught.value.code() is EXHAUSTED


async def test_reports_per_image_spare_the_good_ones(small_server: RunningServer) -> None:
    images = [GOOD_FILE, b"text", GOOD_FILE, bomb(50_000, 50_000), GOOD_FILE]
    async with AsyncClient(small_server.target) as client:
        found = await client.score(images, report_per_image=True)
        (alone,) = await client.score(GOOD_FILE)
    assert [type(image.error) for image in found] == [
        type(None),
        InvalidInputError,
        type(None),
        LimitExceededError,
        type(None),
    ]
    assert [image for image in found if image.error is None] == [alone] * 3
    assert str(found[1].error).startswith("encoded.images[1]: ")
    assert found[1].verdict is None


async def test_reports_per_image_work_on_tensors(small_server: RunningServer) -> None:
    pixels = FLOATS.copy()
    pixels[1, 0, 0, 0] = np.nan
    pixels[3, 0, 0, 0] = 2
    async with AsyncClient(small_server.target) as client:
        found = await client.score(pixels, report_per_image=True)
        good = await client.score(FLOATS[[0, 2]])
    assert [found[0], found[2]] == good
    assert [str(found[i].error).split(":")[0] for i in (1, 3)] == ["tensor[1]", "tensor[3]"]


async def test_reports_name_images_of_large_tensors_which_are_read_in_pieces(start_server: StartServer) -> None:
    server = await start_server()
    pixels = np.tile(FLOATS, (50, 1, 1, 1))
    pixels[[0, 64, 199], 0, 0, 0] = np.nan
    async with AsyncClient(server.target) as client:
        found = await client.score(pixels, report_per_image=True)
    bad = {i: str(image.error).split(":")[0] for i, image in enumerate(found) if image.error is not None}
    assert bad == {0: "tensor[0]", 64: "tensor[64]", 199: "tensor[199]"}
    assert [found[i].score for i in (1, 197)] == pytest.approx([found[5].score] * 2, rel=1e-5)


async def test_only_bad_images_are_reported_without_a_batch(small_server: RunningServer) -> None:
    async with AsyncClient(small_server.target) as client:
        found = await client.score([b"a", b"b"], report_per_image=True)
    assert all(isinstance(image.error, InvalidInputError) for image in found)


async def test_a_split_call_names_images_as_the_caller_counts_them(small_server: RunningServer) -> None:
    images = [GOOD_FILE] * 11 + [b"text"]
    async with AsyncClient(small_server.target) as client:
        with pytest.raises(InvalidInputError) as caught:
            await client.score(images)
        assert caught.value.field == "encoded.images[11]"
        found = await client.score(images, report_per_image=True)
    assert isinstance(found[11].error, InvalidInputError)
    assert found[11].error.field == "encoded.images[11]"


@pytest.mark.parametrize(
    ("images", "field"),
    [
        (np.zeros((8, 8, 3), np.int64), "images"),
        ([GOOD_FILE, PIXELS[0]], "images"),
        ([PIXELS[0], FLOATS[0]], "images"),
        ([GOOD_FILE, 7], "images[1]"),
        ([GOOD_FILE, "no/such/file.png"], "images[1]"),
        ([], "encoded.images"),
        (np.zeros((0, 8, 8, 3), np.uint8), "tensor"),
        (np.zeros((8,), np.uint8), "tensor.shape"),
        (np.zeros((8, 9, 3), np.uint8), "tensor.shape"),
    ],
)
async def test_the_client_raises_typed_errors(small_server: RunningServer, images: Any, field: str) -> None:
    async with AsyncClient(small_server.target) as client:
        with pytest.raises(InvalidInputError) as caught:
            await client.score(images)
    assert caught.value.field == field


async def test_random_bytes_never_break_the_server(small_server: RunningServer) -> None:
    """Raw bytes, and good requests with bytes changed: INVALID_ARGUMENT, RESOURCE_EXHAUSTED or an answer."""
    seeds = [tensor().SerializeToString(), files(GOOD_FILE, GOOD_FILE).SerializeToString()]
    mutated = st.builds(
        _mutate, st.sampled_from(seeds), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=6)
    )

    def hammer() -> None:
        with grpc.insecure_channel(small_server.target) as channel:
            call = score_method(channel)

            @settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(st.one_of(st.binary(max_size=300), mutated))
            def check(message: bytes) -> None:
                ended = call.future(message, timeout=20)
                assert ended.code() in {grpc.StatusCode.OK, INVALID, EXHAUSTED}, ended.details()

            check()
            assert call(seeds[0], timeout=20)

    await asyncio.to_thread(hammer)


def _mutate(message: bytes, changes: list[tuple[int, int]]) -> bytes:
    changed = bytearray(message)
    for position, value in changes:
        changed[position % len(changed)] = value
    return bytes(changed)


def _named_field(error: grpc.aio.AioRpcError) -> str:
    """The field in BadRequest or QuotaFailure, and in ErrorInfo, which must agree."""
    (raw,) = (value for key, value in error.trailing_metadata() if key == DETAILS_KEY)
    bad, quota, info = error_details_pb2.BadRequest(), error_details_pb2.QuotaFailure(), error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(raw).details:
        assert detail.Unpack(bad) or detail.Unpack(quota) or detail.Unpack(info)
    named = {v.field for v in bad.field_violations} | {v.subject for v in quota.violations} | {info.metadata["field"]}
    assert info.domain == "isthmus"
    (field,) = named
    return str(field)
