"""The order in which the details of a page of the API leave the least room unused in the store's file. Pure.

Details are appended in the order of their conversations' numbers, and are longer than a page of the file: what is left
over after full pages of their own stands in a page with others. SQLite begins a new such page as soon as the next does
not fit, and an eleventh of all that details take was left empty so. Numbers are therefore given in an order in which
the next fits (docs/performance.md).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from rollbook.store.file.connections import PAGE_BYTES

# What SQLite's file format leaves of a page for rows; the longest that stands in one whole, and what stays of any other
# at least (https://www.sqlite.org/fileformat2.html#b_tree_pages).
_ROOM: Final = PAGE_BYTES - 8
_WHOLE: Final = PAGE_BYTES - 35
_LEAST: Final = (PAGE_BYTES - 12) * 32 // 255 - 23
_OVERFLOW: Final = PAGE_BYTES - 4
# A row's own header, its key, its length, the number of its next page, and its place in the page.
_AROUND: Final = 16


def share(size: int) -> int:
    """The bytes that details of this size take of a page that they share with others."""
    if size <= _WHOLE:
        return size + _AROUND
    rest = _LEAST + (size - _LEAST) % _OVERFLOW
    return (rest if rest <= _WHOLE else _LEAST) + _AROUND


def order(sizes: Sequence[int]) -> list[int]:
    """The places of these details in the order in which they fill pages: the first that is left, and what fits then."""
    shares = [share(size) for size in sizes]
    waiting = sorted((needed, place) for place, needed in enumerate(shares))
    found: list[int] = []
    taken = bytearray(len(shares))
    for place, needed in enumerate(shares):
        if taken[place]:
            continue
        at, room = bisect_left(waiting, (needed, place)), _ROOM
        while at >= 0:
            took, which = waiting.pop(at)
            taken[which] = 1
            found.append(which)
            room -= took
            at = bisect_right(waiting, (room, len(shares))) - 1
    return found
