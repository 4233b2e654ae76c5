"""Which of the client's channels are ours."""

from __future__ import annotations

from genesys.api import Channel
from genesys.settings import Secret
from realtime.places import Places


def channel(name: str) -> Channel:
    return Channel(Secret(name), Secret(f"ws://{name}"), "")


def test_what_is_made_while_the_platform_is_asked_is_in_no_list() -> None:
    """A channel that was created after the platform made its list does not hide one of another program."""
    places = Places()
    places.made(channel("a"))
    known = list(places.ours)
    places.made(channel("b"))
    places.counted(["a", "", ""], known=known, gone=())
    assert (places.others, places.free(2)) == (2, 16)


def test_one_that_is_gone_is_not_ours() -> None:
    """Its place is of whoever has it now."""
    places = Places()
    places.made(channel("a"))
    places.counted([""] * 20, known=["a"], gone=["a"])
    assert (places.others, places.free(1)) == (20, 0)
