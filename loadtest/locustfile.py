"""What locust runs: ``python -m locust -f loadtest/locustfile.py``; ``python -m loadtest run`` does so with a server.

Nothing here may make a gRPC object or load a bundle when it is imported: with ``--processes`` locust forks after it.
"""

from __future__ import annotations

from locust import events

from loadtest.judging import judge, look_at_clocks, show
from loadtest.options import add_options
from loadtest.preparing import prepare
from loadtest.users import (
    InferBatchUser,
    InferStreamUser,
    InferUser,
    ScoreBatchUser,
    ScoreStreamUser,
    ScoreUser,
)

__all__ = ["InferBatchUser", "InferStreamUser", "InferUser", "ScoreBatchUser", "ScoreStreamUser", "ScoreUser"]

events.init_command_line_parser.add_listener(add_options)
events.init.add_listener(prepare)
events.test_start.add_listener(look_at_clocks)
events.test_stop.add_listener(look_at_clocks)
events.quitting.add_listener(judge)
events.quit.add_listener(show)
