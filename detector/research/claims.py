"""What a paper claims, what was run to see, and what came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.reporting.html import element
from detector.reporting.parts import answer, wide, words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markupsafe import Markup


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim, put to the test.

    Args:
        claim: In a sentence.
        source: Where it is made: paper and section, or who asks.
        run: What was run, with its n.
        outcome: What came out, with its figures.
        agrees: Whether that agrees; None where it can't be said.
    """

    claim: str
    source: str
    run: str
    outcome: str
    agrees: bool | None


def claims_table(claims: Iterable[Claim]) -> Markup:
    """The claims as a table of a report."""
    verdicts = {True: "agrees", False: "does not agree", None: "open"}
    return wide(
        [words(head) for head in ("claim", "source", "run", "outcome", "agrees?")],
        [
            [
                words(element("strong", one.claim)),
                words(one.source),
                words(one.run),
                words(one.outcome),
                answer(verdicts[one.agrees], good=one.agrees),
            ]
            for one in claims
        ],
    )


def claims_markdown(claims: Iterable[Claim]) -> str:
    """The same as a table in Markdown, for a page of the documentation."""
    verdicts = {True: "yes", False: "no", None: "open"}
    rows = [(one.claim, one.source, one.run, one.outcome, verdicts[one.agrees]) for one in claims]
    head = ("Claim", "Source", "Run", "Outcome", "Agrees")
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
