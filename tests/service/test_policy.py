"""Predictions of flagged images are withheld where a deployment says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from detector.errors import InvalidInputError, SettingsError, WithheldError
from detector.verdicts import Verdict
from isthmus.inference.v2 import inference_pb2 as oip
from service.client import AsyncClient
from tests.service.support import random_pixels, settings_for_tests

if TYPE_CHECKING:
    from tests.service.support import StartServer

FLAT = np.full((1, 8, 8, 3), 128, np.uint8)
NOISE = random_pixels(1, 8, 8, 3)
# Rows that differ a little: a p-value between the two target rates.
STEPS = np.full((1, 8, 8, 3), 100, np.uint8)
STEPS[:, ::2] += 47
MIXED = np.concatenate([FLAT, STEPS, NOISE, FLAT])


async def test_by_default_flagged_images_are_annotated(client: AsyncClient) -> None:
    answers = await client.score(MIXED)
    assert [answer.verdict for answer in answers] == ["BENIGN", "SUSPECT", "ADVERSARIAL", "BENIGN"]
    assert all(answer.label for answer in answers)


@pytest.mark.parametrize(
    ("start", "gone"), [("adversarial", {2}), ("suspect", {1, 2})], ids=["adversarial alone", "suspect too"]
)
async def test_flagged_images_get_an_error_that_says_the_verdict_alone(
    start_server: StartServer, start: str, gone: set[int]
) -> None:
    server = await start_server(policy="withhold", withhold_from=start)
    async with AsyncClient(server.target) as client:
        answers = await client.score(MIXED, report_per_image=True, include_logits=True, include_profile=True)
    assert {i for i, answer in enumerate(answers) if answer.error is not None} == gone
    for index in gone:
        error = answers[index].error
        assert isinstance(error, WithheldError)
        assert error.field == f"tensor[{index}]"
        assert error.verdict is (Verdict.ADVERSARIAL if index == 2 else Verdict.SUSPECT)
        assert "withholds" in error.message
        assert not answers[index].logits
        assert not answers[index].profile
    assert answers[3].logits


async def test_a_request_that_takes_no_reports_is_refused_whole(start_server: StartServer) -> None:
    server = await start_server(policy="withhold", max_images=2)
    async with AsyncClient(server.target) as client:
        assert [answer.verdict for answer in await client.score(MIXED[:2])] == ["BENIGN", "SUSPECT"]
        with pytest.raises(WithheldError) as caught:
            await client.score(MIXED)  # two requests; images are named as the caller counts
    assert caught.value.field == "tensor[2]"


async def test_the_status_is_failed_precondition_and_tells_no_score(start_server: StartServer) -> None:
    server = await start_server(policy="withhold")
    request = oip.ModelInferRequest(model_name="isthmus")
    request.inputs.add(name="images", datatype="UINT8", shape=NOISE.shape)
    request.raw_input_contents.append(NOISE.tobytes())
    async with grpc.aio.insecure_channel(server.target) as channel:
        call: Any = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", type(request).SerializeToString)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(request)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    says = "images[0]: is ADVERSARIAL; this deployment withholds predictions of such images"
    assert caught.value.details() == says


async def test_bad_images_and_withheld_ones_keep_their_places(start_server: StartServer) -> None:
    server = await start_server(policy="withhold")
    floats = MIXED.astype(np.float32) / np.float32(255)
    floats[0, 0, 0, 0] = np.nan
    async with AsyncClient(server.target) as client:
        answers = await client.score(floats, report_per_image=True)
    assert [type(answer.error) for answer in answers] == [InvalidInputError, type(None), WithheldError, type(None)]


def test_rates_that_contradict_each_other_or_flag_everything_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"suspect_rate.*less than or equal to 0\.5"):
        settings_for_tests(suspect_rate=0.7)
    with pytest.raises(SettingsError, match=r"adversarial_rate.*greater than 0"):
        settings_for_tests(adversarial_rate=0.0)
    with pytest.raises(SettingsError, match=r"policy.*annotate"):
        settings_for_tests(policy="ignore")


def test_there_is_no_way_round_a_guard_that_withholds() -> None:
    with pytest.raises(SettingsError, match="classifier_model would give the predictions that policy withholds"):
        settings_for_tests(policy="withhold", classifier_model="classifier")
    with pytest.raises(SettingsError, match="classifier_model and model_name must differ"):
        settings_for_tests(classifier_model="isthmus")
