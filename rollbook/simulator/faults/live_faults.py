"""The faults of the live side, by name: what a script or a test can make go wrong with channels, sockets and events.

Each is a function of the notifications and of parameters that are plain numbers, words and flags, so that they can
stand in a file. Minutes and seconds are the organisation's clock's. What goes wrong, and how, is done elsewhere; here
it has its names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from rollbook.simulator.faults.event_faults import Alteration
from rollbook.simulator.notifications.channels import Channel
from rollbook.simulator.notifications.live_side import LiveSide
from rollbook.simulator.notifications.sockets import OpenSocket

_JUNK: Final[Mapping[str, str | bytes]] = {
    "text": "this is no JSON",
    "half": '{"topicName":"v2.routing.queues.',
    "empty": "",
    "list": "[1,2,3]",
    "no_topic": '{"eventBody":{}}',
    "number_topic": '{"topicName":17,"eventBody":{}}',
    "null_body": '{"topicName":"v2.routing.queues.x.conversations","version":"2","eventBody":null}',
    "deep": "[" * 20_000,
    "binary": b"\x00\xff\xfe simulated",
}


# Sockets


def cut(live: LiveSide, *, minutes: float = 5.0) -> None:
    """Every socket dies without a close frame; handshakes are answered with 503 for so long."""
    live.cut(minutes)


def drop(live: LiveSide, *, channel: str | None = None) -> None:
    """Sockets die without a close frame, and may come back at once. channel: that one's; None: one drawn."""
    for line in _lines(live, channel):
        line.abort()


def drop_all(live: LiveSide) -> None:
    """Every socket dies without a close frame, and may come back at once."""
    live.sockets.abort()


def silence(live: LiveSide, *, pongs: bool = False, events: bool = True) -> None:
    """The open sockets stay open and send no heartbeat. pongs: they answer pings. events: they carry events."""
    for line in live.sockets.lines.values():
        line.beats, line.answers, line.carries = False, pongs, events


def speak(live: LiveSide) -> None:
    """End `silence`."""
    for line in live.sockets.lines.values():
        line.beats = line.answers = line.carries = True


def close(live: LiveSide, *, code: int = 1001, reason: str = "") -> None:
    """Every socket is closed with a close frame."""
    for line in list(live.sockets.lines.values()):
        line.close(code, reason)


def socket_closing(live: LiveSide, *, seconds: float = 60.0) -> None:
    """`v2.system.socket_closing` on every socket; what is still open after that time is closed."""
    live.announce_closing(timedelta(seconds=seconds))


def refuse(live: LiveSide, *, status: int = 503, minutes: float = 5.0) -> None:
    """Handshakes are answered with that status for so long; open sockets stay."""
    live.refuse_status = (status, live.clock.now() + timedelta(minutes=minutes))


def flap(live: LiveSide, *, minutes: float = 1.0) -> None:
    """For so long every socket is accepted and closed at once; the open ones too."""
    live.flapping_until = live.clock.now() + timedelta(minutes=minutes)
    close(live)


# Channels


def gone(live: LiveSide, *, channel: str | None = None, keep_socket: bool = False) -> None:
    """A channel is not there any more: 404 everywhere. keep_socket: its socket stays, and answers `result: "404"`."""
    for gone_channel in _channels(live, channel):
        live.keep_dead_sockets = keep_socket
        live.channels.remove(gone_channel, "gone")
        live.keep_dead_sockets = False


def evict(live: LiveSide, *, count: int = 1) -> None:
    """The channels used longest ago go, as when their client creates one too many."""
    for oldest in sorted(live.channels.every(), key=lambda each: (each.connected, each.used))[:count]:
        live.channels.remove(oldest, "evicted")


def expire(live: LiveSide) -> None:
    """Every channel's 24 hours are over."""
    for channel in live.channels.every():
        channel.expires = live.clock.now()
    live.channels.expire(live.clock.now())


def no_longer_subscribed(live: LiveSide, *, channel: str | None = None) -> None:
    """The platform says that a channel gets no more events, and takes its subscriptions."""
    for silent_channel in _channels(live, channel):
        live.tell(silent_channel, "no_longer_subscribed", "another_channel_subscribed")
        live.channels.clear(silent_channel)


def revoke_token(live: LiveSide, *, token: str | None = None) -> None:
    """A token is revoked: its channels say so and go, REST answers 401. token: None for all that have a channel."""
    mine = [revoked for revoked in live.channels.every() if token in (None, revoked.token)]
    for revoked in mine:
        live.tell(revoked, "token_revoked", "user_tokens_revoked")
        live.channels.remove(revoked, "token_revoked")
    for each in {revoked.token for revoked in mine} | ({token} if token else set()):
        live.on_revoke(each)


def reject(live: LiveSide, *, topic: str, permission: str = "conversation:communication:view") -> None:
    """From now on that topic is refused to whoever subscribes: Rejected, or 403 for the batch."""
    live.channels.refused[topic] = permission


def forbid(live: LiveSide, *, permission: str) -> None:
    """Take a permission from the client: every topic that needs it is refused from now on."""
    live.channels.permissions.discard(permission)


def permit(live: LiveSide, *, permission: str | None = None) -> None:
    """Give a permission back. None: and every rejected topic too."""
    live.channels.restore(permission)


# Events


def lose(live: LiveSide, *, share: float = 0.1, minutes: float | None = None) -> None:
    """A share of the events is never sent, and nobody says so."""
    _begin(live, "lose", share, minutes)


def delay(live: LiveSide, *, seconds: float = 180.0, share: float = 1.0, minutes: float | None = None) -> None:
    """A share of the events is sent late."""
    _begin(live, "delay", share, minutes, seconds=seconds)


def duplicate(
    live: LiveSide,
    *,
    share: float = 0.1,
    same_id: bool = True,
    seconds: float = 0.0,
    minutes: float | None = None,
) -> None:
    """A share of the events is sent twice, the second with the same CorrelationId or a new one, so much later."""
    _begin(live, "duplicate", share, minutes, seconds=seconds, same_id=same_id)


def reorder(live: LiveSide, *, share: float = 0.5, minutes: float | None = None) -> None:
    """A share of the events is sent after the next one of its conversation (after two minutes if there is none)."""
    _begin(live, "reorder", share, minutes)


def contradict(live: LiveSide, *, share: float = 0.1, minutes: float | None = None) -> None:
    """A share of the snapshots contradicts itself: connected, and with a time of disconnection."""
    _begin(live, "contradict", share, minutes)


def strange(live: LiveSide, *, what: str = "field", share: float = 0.1, minutes: float | None = None) -> None:
    """Things that no model has, in a share of events. what: field, enum (a state or medium), topic (one more event)."""
    _begin(live, f"strange_{what}", share, minutes)


def ahead(live: LiveSide, *, seconds: float = 30.0, share: float = 1.0, minutes: float | None = None) -> None:
    """The times in a share of the events are so many seconds ahead."""
    _begin(live, "ahead", share, minutes, seconds=seconds)


def odd_id(live: LiveSide, *, what: str | None = None, share: float = 0.1, minutes: float | None = None) -> None:
    """For a share of the events another one whose conversation has no proper id. what: one of `ODD_IDS`."""
    _begin(live, "odd_id", share, minutes, what=what)


def regular(live: LiveSide) -> None:
    """End every fault of events; what was held back is sent."""
    for event in live.alterations.clear():
        live.deliver(event)


def junk(live: LiveSide, *, kind: str = "text") -> None:
    """A frame that is no notification, on every socket. kind: one of `JUNK`, or `oversized` (9 MB of text)."""
    frame = "x" * (9 * 1024 * 1024) if kind == "oversized" else _JUNK[kind]
    for line in live.sockets.lines.values():
        line.offer(frame)


JUNK: Final = (*_JUNK, "oversized")


def _begin(live: LiveSide, kind: str, share: float, minutes: float | None, **more: Any) -> None:
    until = None if minutes is None else live.clock.now() + timedelta(minutes=minutes)
    live.alterations.begin(Alteration(kind, share, until, **more))


def _lines(live: LiveSide, channel: str | None) -> list[OpenSocket]:
    lines = live.sockets.lines
    if channel is not None:
        return [lines[channel]] if channel in lines else []
    return [lines[live.draw.choice(sorted(lines))]] if lines else []


def _channels(live: LiveSide, channel: str | None) -> list[Channel]:
    every = live.channels.every()
    if channel is not None:
        return [candidate for candidate in every if candidate.id == channel]
    return [live.draw.choice(every)] if every else []


FAULTS: Final[Mapping[str, Callable[..., None]]] = {
    made.__name__: made
    for made in (
        cut,
        drop,
        drop_all,
        silence,
        speak,
        close,
        socket_closing,
        refuse,
        flap,
        gone,
        evict,
        expire,
        no_longer_subscribed,
        revoke_token,
        reject,
        forbid,
        permit,
        lose,
        delay,
        duplicate,
        reorder,
        contradict,
        strange,
        ahead,
        odd_id,
        regular,
        junk,
    )
}
