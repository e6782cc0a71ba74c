from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from detector.errors import QuotaError, SettingsError, UnauthenticatedError
from isthmus.v1 import detector_pb2 as pb
from service.access import Access
from service.client import AsyncClient
from service.identity import Tokens, new_token
from tests.service.support import StartServer, random_pixels

if TYPE_CHECKING:
    from pathlib import Path


PIXELS = random_pixels(2, 8, 8, 3)


def _file(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "tokens"
    file.write_text("# who may call\n" + "".join(f"{line}\n" for line in lines))
    return file


def test_a_token_is_its_callers_and_only_its_digest_is_stored(tmp_path: Path) -> None:
    ann, ben = new_token("ann"), new_token("ben")
    tokens = Tokens(_file(tmp_path, ann.line, f"{ben.line}  # until June", ""))
    assert tokens.caller(ann.token) == "ann"
    assert tokens.caller(ben.token) == "ben"
    assert tokens.caller(ann.token[:-1]) is None
    assert tokens.caller("") is None
    assert ann.token not in ann.line
    assert ann.line == f"ann {hashlib.sha256(ann.token.encode()).hexdigest()}"
    assert len({new_token("ann").token for _ in range(50)}) == 50


def test_a_file_that_changes_is_read_again_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    ann, ben = new_token("ann"), new_token("ben")
    file = _file(tmp_path, ann.line)
    tokens = Tokens(file)
    file.write_text(f"{ben.line}\n{ann.line}\n")
    assert tokens.caller(ben.token) == "ben"
    file.write_text("what is this")
    assert tokens.caller(ben.token) == "ben"
    file.unlink()
    assert tokens.caller(ben.token) == "ben"
    file.write_text(f"{ann.line}\n")
    os.utime(file, ns=(1, 1))
    assert tokens.caller(ben.token) is None
    assert tokens.caller(ann.token) == "ann"


@pytest.mark.parametrize("line", ["ann", "ann 12", "ann " + "g" * 64, "two words " + "a" * 64])
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError, match="tokens, line 2: a name and a SHA-256 are expected"):
        Tokens(_file(tmp_path, line))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"auth_tokens .*nothing: can't be read"):
        Tokens(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["", "two words", "a" * 129])
def test_a_name_must_be_a_word(name: str) -> None:
    with pytest.raises(SettingsError, match="printable characters"):
        new_token(name)


async def test_only_who_has_a_token_gets_in(start_server: StartServer, tmp_path: Path) -> None:
    ann = new_token("ann")
    server = await start_server(auth_tokens=_file(tmp_path, ann.line))
    async with AsyncClient(server.target, access=Access(token=ann.token)) as client:
        assert len(await client.score(PIXELS)) == 2
    for access in (Access(), Access(token=new_token("guess").token), Access(token=ann.token.swapcase())):
        async with AsyncClient(server.target, access=access) as client:
            with pytest.raises(UnauthenticatedError, match="send a valid token"):
                await client.score(PIXELS)


async def test_streams_and_reflection_need_a_token_and_health_does_not(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = await start_server(auth_tokens=_file(tmp_path, new_token("ann").line))
    async with grpc.aio.insecure_channel(server.target) as channel:
        reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        for path in (
            "/isthmus.v1.AdversarialDetector/ScoreStream",
            "/inference.GRPCInferenceService/ModelStreamInfer",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ):
            stream: Any = channel.stream_stream(path)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stream().read()  # nothing is written: a write may cross the refusal and hide it
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_bad_bytes_are_not_even_read_without_a_token(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server(auth_tokens=_file(tmp_path, new_token("ann").line))
    async with grpc.aio.insecure_channel(server.target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/isthmus.v1.AdversarialDetector/Score")(b"\xff\xff")  # type: ignore[arg-type] # bare bytes
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_quotas_go_by_the_tokens_name_whatever_the_connection(start_server: StartServer, tmp_path: Path) -> None:
    ann, also_ann, ben = new_token("ann"), new_token("ann"), new_token("ben")
    file = _file(tmp_path, ann.line, also_ann.line, ben.line)
    server = await start_server(auth_tokens=file, max_images=4, quota_images_per_minute=4)
    async with (
        AsyncClient(server.target, access=Access(token=ann.token)) as one,
        AsyncClient(server.target, access=Access(token=also_ann.token)) as same,
        AsyncClient(server.target, access=Access(token=ben.token)) as other,
    ):
        assert len(await one.score(PIXELS)) == 2
        assert len(await same.score(PIXELS)) == 2
        with pytest.raises(QuotaError, match="the quota of 4 images per minute is used up") as caught:
            await one.score(PIXELS)
        assert 0 < caught.value.retry_after <= 30
        assert len(await other.score(PIXELS)) == 2


async def test_calls_at_the_same_time_keep_their_names(start_server: StartServer, tmp_path: Path) -> None:
    """Were names shared between calls, one caller's quota would be another's."""

    made = [new_token(f"caller{i}") for i in range(8)]
    file = _file(tmp_path, *(entry.line for entry in made))
    server = await start_server(auth_tokens=file, max_images=4, quota_images_per_minute=4)
    clients = [AsyncClient(server.target, access=Access(token=entry.token)) for entry in made]
    answers = await asyncio.gather(*(client.score(PIXELS) for client in clients for _ in range(2)))
    assert [len(answer) for answer in answers] == [2] * 16
    for client in clients:
        with pytest.raises(QuotaError):
            await client.score(PIXELS)
        await client.close()


def test_requests_know_nothing_of_identity() -> None:
    """Who calls comes from the connection alone: no field of a request can claim it."""
    assert not [field.name for field in pb.ScoreRequest.DESCRIPTOR.fields if "caller" in field.name]
