"""How many places of the client's twenty are ours, and how many lines they bear."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from realtime.websocket.client_channels import ChannelPlaces
from rollbook.genesys.api.client import NotificationChannel
from rollbook.genesys.program.settings import Secret

NOW = "2026-08-03T12:00:00.000Z"
LATER = "2026-08-04T11:00:00.000Z"


def channel(name: str) -> NotificationChannel:
    return NotificationChannel(Secret(name), Secret(f"ws://{name}"), "2026-08-04T12:00:00.000Z")


def look(places: ChannelPlaces, named: Sequence[str], unnamed: int, *, coming: int = 0, now: str = NOW) -> None:
    """The platform is asked, and names these; of ours that it does not name, none is there any more."""
    known = list(places.ours)
    listed = [*named, *[""] * unnamed]
    places.counted(listed, known=known, gone=set(known) - set(named), being_created=coming, now=now)


def test_what_is_made_while_the_platform_is_asked_is_in_no_list() -> None:
    """A channel that was created after the platform made its list does not hide one of another program."""
    places = ChannelPlaces()
    places.made(channel("a"))
    known = list(places.ours)
    places.made(channel("b"))
    places.counted(["a", "", ""], known=known, gone=(), being_created=0, now=NOW)
    assert (places.others, places.free(2)) == (2, 16)


def test_one_that_is_gone_is_not_ours() -> None:
    """Its place is of whoever has it now."""
    places = ChannelPlaces()
    places.made(channel("a"))
    look(places, [], 20)
    assert (places.others, places.free(1)) == (20, 0)


def test_abandoned_channels_of_ours_count_as_free() -> None:
    """A channel that we made and left is evicted first, so it takes nothing from anybody."""
    places = ChannelPlaces()
    for name in "abcde":
        places.made(channel(name))
    look(places, "abcde", 3)
    assert places.free(2) == 15
    look(places, "ab", 18)
    assert places.free(2) == 0


@pytest.mark.parametrize(("others", "lines"), [(0, 20), (17, 3), (20, 1)])
def test_lines_are_what_others_leave(others: int, lines: int) -> None:
    """Another program's channels leave so many places for lines, and one line there is always."""
    places = ChannelPlaces()
    look(places, [], others)
    assert places.lines(0) == lines


def test_what_an_earlier_run_left_gives_way() -> None:
    """Its channels look like another program's, bear lines all the same, and are gone once new ones are made."""
    places = ChannelPlaces([LATER] * 3)
    look(places, [], 20)
    assert (places.others, places.lines(0), places.free(0)) == (17, 3, 3)
    assert [places.made(channel(name)) for name in "abcd"] == [False, False, False, True]
    look(places, "bcd", 17)
    assert (places.others, places.lines(3), places.left_until) == (17, 3, [])


def test_what_vanishes_is_not_taken_for_another_programs() -> None:
    """Where channels are gone and nobody knows whose they were, no place of another program is counted on."""
    places = ChannelPlaces([LATER] * 3)
    look(places, [], 10)
    look(places, [], 8)
    assert (places.others, places.left_until) == (7, [LATER])
    look(places, [], 7, now="2026-08-04T11:30:00.000Z")
    assert (places.others, places.left_until) == (7, [])


def test_no_more_is_left_than_is_there() -> None:
    """What the store remembers and the platform does not count has gone."""
    places = ChannelPlaces([LATER] * 3)
    look(places, [], 2)
    assert (places.others, len(places.left_until)) == (0, 2)


def test_a_channel_that_is_on_its_way_is_not_anothers() -> None:
    """The platform may count a channel before it answers that it was made: no line ends for that, and none begins."""
    places = ChannelPlaces()
    look(places, [], 17)
    places.made(channel("a"))
    look(places, ["a"], 18, coming=1)
    assert [places.lines(present) for present in (2, 3, 4)] == [2, 3, 3]
    look(places, ["a"], 18)
    assert places.lines(3) == 2


def test_the_next_run_is_told_of_all() -> None:
    """Until when each channel lives is kept, those of earlier runs and prolonged ones included."""
    places = ChannelPlaces([LATER])
    places.made(channel("a"))
    places.prolonged(NotificationChannel(Secret("a"), Secret(""), "2026-08-05T00:00:00.000Z"))
    assert places.until() == [LATER, "2026-08-05T00:00:00.000Z"]
