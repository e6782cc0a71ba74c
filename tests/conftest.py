"""Fixtures that every package's tests share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from threadpoolctl import threadpool_limits
from xdist.scheduler import LoadScopeScheduling

from detector.embedded import build_embedded_default
from tests.support.bundles import build_digits_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from detector.embedded import EmbeddedDefault

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


class _ByFolder(LoadScopeScheduling):  # type: ignore[misc] # published without types
    """Runs a folder's tests in one process, where several run: they share what took long to make."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0].rpartition("/")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Who runs what, where several processes run."""
    return _ByFolder(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their number: processes must agree on names, and a compressed file's bytes can hold the time."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """The tests' networks are so small that threads wait for one another; on a busy machine, a hundred times longer."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of third-party data beside the checkout; the test is skipped where it is absent."""
    if not _SHARED.is_dir():
        pytest.skip(f"third-party data is not here: {_SHARED}")
    return _SHARED


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedDefault:
    """The embedded classifier of digits, trained for this session, and its images."""
    return build_embedded_default(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def digits_bundle(digits: EmbeddedDefault, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real bundle for `digits`; copy it before changing anything."""
    path = tmp_path_factory.mktemp("bundles") / "digits"
    build_digits_bundle(digits, path)
    return path
