"""`docs/peers.md` says of every peer what its code says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from detector.evaluation.peers.registry import available_peers

if TYPE_CHECKING:
    from detector.evaluation.peers.base import Peer

PEERS = [make() for make in available_peers()]
TEXT = (Path(__file__).parents[3] / "docs" / "peers.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in TEXT.splitlines()
    if (cells := [cell.strip() for cell in line.strip("|").split("|")])[0].startswith("`")
}


def test_the_table_has_every_peer_and_no_other() -> None:
    assert set(ROWS) == {peer.name for peer in PEERS}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_row_says_what_the_code_says(peer: Peer) -> None:
    _, learns, forwards, _ = ROWS[peer.name]
    assert learns == ("yes" if peer.needs_attacks else "no")
    assert float(forwards) == peer.forwards_per_image


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_paragraph_describes_it_with_its_source(peer: Peer) -> None:
    (paragraph,) = [part for part in TEXT.split("\n\n") if f"**`{peer.name}`**" in part]
    identifiers = re.findall(r"arXiv \d{4}\.\d{5}|doi [\w./]+\w", peer.source)
    assert identifiers
    assert all(identifier in paragraph for identifier in identifiers)
