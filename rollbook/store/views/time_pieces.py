"""Pieces of time by verdict: each moment of the ledger once, however many windows have it. Pure.

A moment that several windows have counts by the best proof among them, unless a window that is no wider has failed
after it (as `reconcile/gate.py` and the view `readiness` judge); where none proves it, by the worst of them. What draws
time by verdict draws these: the page's band and `rollbook status --watch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from rollbook.store.tables.windows import RANK
from rollbook.store.views.page_rows import LedgerStretch
from rollbook.store.vocabulary import PROVEN, Verdict


class Piece(NamedTuple):
    """A stretch of time of one verdict; None where no window is. Times are API text."""

    start: str
    end: str
    verdict: Verdict | None


def pieces(stretches: Sequence[LedgerStretch]) -> list[Piece]:
    """The time from the first window to the last, each moment once, with its verdict. stretches: in order."""
    found: list[Piece] = []
    for piece in _pieces(stretches):
        if found and found[-1].verdict == piece.verdict and found[-1].end == piece.start:
            found[-1] = found[-1]._replace(end=piece.end)
        else:
            found.append(piece)
    return found


def _pieces(stretches: Sequence[LedgerStretch]) -> Iterator[Piece]:
    """Walk through groups of stretches that overlap; most groups are a single stretch."""
    at, reached = 0, ""
    while at < len(stretches):
        first, end, last = stretches[at], stretches[at].end, at + 1
        while last < len(stretches) and stretches[last].start < end:
            end, last = max(end, stretches[last].end), last + 1
        if reached and first.start > reached:
            yield Piece(reached, first.start, None)
        if last == at + 1:
            yield Piece(first.start, first.end, first.verdict)
        else:
            yield from _overlapping(stretches[at:last])
        reached, at = end, last


def _overlapping(group: Sequence[LedgerStretch]) -> Iterator[Piece]:
    bounds = sorted({bound for stretch in group for bound in (stretch.start, stretch.end)})
    touching: list[LedgerStretch] = []
    at = 0
    for start, end in pairwise(bounds):
        touching = [stretch for stretch in touching if stretch.end > start]
        while at < len(group) and group[at].start <= start:
            touching.append(group[at])
            at += 1
        yield Piece(start, end, _verdict(touching))


def _verdict(touching: Sequence[LedgerStretch]) -> Verdict | None:
    """The verdict of a moment that these touch."""
    failed = [stretch for stretch in touching if stretch.verdict == Verdict.FAILED]
    proofs = [
        stretch.verdict
        for stretch in touching
        if stretch.verdict in PROVEN and not any(_stands_against(other, stretch) for other in failed)
    ]
    if proofs:
        return max(proofs, key=lambda verdict: RANK[verdict])
    rest: list[Verdict] = [stretch.verdict for stretch in touching if stretch.verdict not in PROVEN]
    return min(rest, key=lambda verdict: RANK[verdict], default=None)


def _stands_against(failed: LedgerStretch, proof: LedgerStretch) -> bool:
    later = (failed.last_run_at or "9") >= (proof.last_read_at or "")
    return later and seconds_between(failed.start, failed.end) <= seconds_between(proof.start, proof.end)


def seconds_between(start: str, end: str) -> float:
    """The seconds from one time to another."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
