"""An open load in a process of its own: ``python -m benchmarks.arrivals TARGET... --rate R``; prints one line of JSON.

Requests come when they are due, at random intervals (Poisson), however many are still under way, and their time counts
from then: a server that stalls can't make its callers wait with asking (no coordinated omission). Each request holds
one of several images and an id, and its answer must be that image's, with that id.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
import numpy as np

from detector.errors import OverloadedError
from isthmus.v1 import detector_pb2 as pb
from isthmus.v1 import detector_pb2_grpc
from service.interceptors import REQUEST_ID_KEY
from service.status import from_rpc_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ANSWERED: Final = "answered"
WRONG: Final = "wrong"
REFUSED: Final = "refused"
"""Overloaded, and says when to come again. Whatever else happens goes by the name of its status."""
QUESTIONS: Final = 32
TIMEOUT: Final = 60.0
_TOLERANCE: Final = 1e-3
_HEALTH: Final[dict[str, Any]] = {"healthCheckConfig": {"serviceName": ""}}
_BALANCED: Final[dict[str, Any]] = {"loadBalancingConfig": [{"round_robin": {}}]}
_RETRIED: Final[dict[str, Any]] = {
    "methodConfig": [
        {
            "name": [{"service": "isthmus.v1.AdversarialDetector"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
CLIENTS: Final[Mapping[str, tuple[Mapping[str, Any], Mapping[str, int]]]] = {
    "health checks and retries": (_BALANCED | _HEALTH | _RETRIED, {}),
    "health checks": (_BALANCED | _HEALTH, {}),
    "health checks, not even gRPC's own retries": (_BALANCED | _HEALTH, {"grpc.enable_retries": 0}),
    "retries": (_BALANCED | _RETRIED, {}),
    "neither": (_BALANCED, {}),
}
"""How clients that take replicas in turn may be set up beyond that: service config and options of the channel."""


@dataclass(frozen=True)
class Question:
    """A request and what its answer must say.

    Args:
        message: Serialised.
        evidence: Of its one image, as answered without any load.
    """

    message: bytes
    evidence: pb.Evidence

    def answered_by(self, reply: pb.ScoreResponse) -> bool:
        """Whether a reply is this question's: but for rounding, no answer depends on what else is in the batch."""
        if len(reply.results) != 1:
            return False
        found, wanted = reply.results[0].evidence, self.evidence
        numbers = ([*found.logits, found.score], [*wanted.logits, wanted.score])
        return len(numbers[0]) == len(numbers[1]) and np.allclose(*numbers, rtol=_TOLERANCE, atol=_TOLERANCE)


@dataclass(frozen=True)
class Outcome:
    """What became of one request.

    Args:
        client: Whose it was: a name from `CLIENTS`.
        at: When it was due, seconds from the beginning.
        seconds: From then to its end.
        result: `ANSWERED`, `WRONG`, `REFUSED` or a status code's name.
    """

    client: str
    at: float
    seconds: float
    result: str


def channel(targets: Sequence[str], client: str) -> grpc.aio.Channel:
    """A connection of its own to every target, set up as a client of `CLIENTS`."""
    config, options = CLIENTS[client]
    everything: dict[str, Any] = {
        "grpc.service_config": json.dumps(config),
        "grpc.use_local_subchannel_pool": 1,
        "grpc.max_reconnect_backoff_ms": 1000,
        **options,
    }
    return grpc.aio.insecure_channel("ipv4:" + ",".join(targets), options=[*everything.items()])


async def questions(target: str, count: int = QUESTIONS) -> list[Question]:
    """Images that differ, as requests, with the answers of a server that has nothing else to do."""
    found = []
    async with channel([target], "health checks") as one:
        stub: Any = detector_pb2_grpc.AdversarialDetectorStub(one)
        size = (await stub.GetDetector(pb.GetDetectorRequest(), wait_for_ready=True)).image_format
        random = np.random.default_rng(0)
        for _ in range(count):
            colour, contrast = random.random(size.channels), random.random()
            noise = random.random((1, size.height, size.width, size.channels))
            pixels = (255 * (contrast * noise + (1 - contrast) * colour)).astype(np.uint8)
            tensor = pb.ImageTensor(data=pixels.tobytes(), pixel_type=pb.PIXEL_TYPE_UINT8, shape=pixels.shape)
            request = pb.ScoreRequest(tensor=tensor, include_logits=True)
            reply = await stub.Score(request)
            found.append(Question(request.SerializeToString(), reply.results[0].evidence))
    return found


async def ask(one: grpc.aio.Channel, client: str, number: int, question: Question, due: float) -> Outcome:
    """Ask once; `due` is when that is due, and outcomes' times are counted from, on `time.perf_counter`."""
    method: Any = one.unary_unary("/isthmus.v1.AdversarialDetector/Score")
    name = f"{client.replace(' ', '-')}-{number}"
    call = method(question.message, timeout=TIMEOUT, metadata=((REQUEST_ID_KEY, name),))
    try:
        reply = pb.ScoreResponse.FromString(await call)
        ids = [value for key, value in await call.trailing_metadata() if key == REQUEST_ID_KEY]
        result = ANSWERED if ids == [name] and question.answered_by(reply) else WRONG
    except grpc.aio.AioRpcError as error:
        explicit = isinstance(typed := from_rpc_error(error), OverloadedError) and typed.retry_after > 0
        result = REFUSED if explicit else error.code().name
    return Outcome(client, due, time.perf_counter() - due, result)


async def offer(
    targets: Sequence[str],
    asked: Sequence[Question],
    *,
    rate: float,
    seconds: float,
    clients: Sequence[str],
    connections: int = 1,
    until: asyncio.Future[Any] | None = None,
) -> list[Outcome]:
    """Ask at random intervals.

    Args:
        targets: Replicas, host:port.
        asked: The questions, asked in turn.
        rate: Requests per second, of all clients together.
        seconds: How long new ones come; all are waited for.
        clients: Names from `CLIENTS`, who take turns.
        connections: Of each client.
        until: Ends it sooner, when done.
    """
    random = np.random.default_rng(1)
    channels = [(client, channel(targets, client)) for client in clients for _ in range(connections)]
    for _, one in channels:
        while (state := one.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            await one.wait_for_state_change(state)
    begin = time.perf_counter()
    due, number, under_way = begin, 0, []
    while (due := due + random.exponential(1 / rate)) < begin + seconds and not (until and until.done()):
        await asyncio.sleep(due - time.perf_counter())
        client, one = channels[number % len(channels)]
        under_way.append(asyncio.ensure_future(ask(one, client, number, asked[number % len(asked)], due)))
        number += 1
    outcomes = [await task for task in under_way]
    for _, one in channels:
        await one.close()
    return [Outcome(one.client, one.at - begin, one.seconds, one.result) for one in outcomes]


async def unloaded(target: str, asked: Sequence[Question], count: int) -> list[Outcome]:
    """Ask one after the other, as many times."""
    async with channel([target], "health checks") as one:
        return [
            await ask(one, "health checks", number, asked[number % len(asked)], time.perf_counter())
            for number in range(count)
        ]


def read(printed: str) -> list[Outcome]:
    """The outcomes another process printed."""
    return [Outcome(**row) for row in json.loads(printed)]


def command(targets: Sequence[str], *, rate: float, seconds: float, connections: int = 1) -> Iterator[str]:
    """What runs `main` in a process of its own; ``--client`` may follow."""
    yield from (sys.executable, "-m", "benchmarks.arrivals", *targets, "--rate", str(rate), "--seconds", str(seconds))
    yield from ("--connections", str(connections))


def counted(outcomes: Sequence[Outcome]) -> Counter[str]:
    """How many had which result."""
    return Counter(outcome.result for outcome in outcomes)


def quantile(outcomes: Sequence[Outcome], share: float) -> float:
    """Seconds within which that share of the answered ones were answered; NaN where none was."""
    seconds = [outcome.seconds for outcome in outcomes if outcome.result == ANSWERED]
    return float(np.quantile(seconds, share)) if seconds else float("nan")


async def _main(given: argparse.Namespace) -> list[Outcome]:
    asked = await questions(given.targets[0])
    if not given.rate:
        return await unloaded(given.targets[0], asked, given.count)
    return await offer(
        given.targets,
        asked,
        rate=given.rate,
        seconds=given.seconds,
        clients=given.client or ["health checks"],
        connections=given.connections,
    )


def main() -> None:
    """Ask, and print what became of each request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--rate", type=float, default=0.0, help="requests per second; 0: one after the other")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--count", type=int, default=300, help="requests, where they come one after the other")
    parser.add_argument("--connections", type=int, default=1, help="of each client")
    parser.add_argument("--client", action="append", choices=[*CLIENTS], help="how it is set up; may be repeated")
    outcomes = asyncio.run(_main(parser.parse_args()))
    sys.stdout.write(json.dumps([asdict(outcome) for outcome in outcomes]) + "\n")


if __name__ == "__main__":
    main()
