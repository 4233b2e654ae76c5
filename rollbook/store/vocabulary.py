"""The words that the store keeps and that reports, settings and messages show: an enumeration for each kind.

Each member is the text itself, in the database, in JSON and in a sentence. SQL spells the text out.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """The state of a window in the ledger (CONTRACT, "Verdicts of a window")."""

    PENDING = "pending"  # not over for long enough to be read
    DUE = "due"  # to be read now
    OPEN = "open"  # read consistently; conversations of it go on
    COMPLETE = "complete"  # read consistently; all of them have ended
    SETTLED = "settled"  # read again after the platform's nightly reprocessing
    FAILED = "failed"  # could not be read, or not consistently


# The verdicts of a window that was read consistently.
PROVEN: Final = (Verdict.OPEN, Verdict.COMPLETE, Verdict.SETTLED)
# The verdicts of a window that waits for its first reading.
WAITING: Final = (Verdict.PENDING, Verdict.DUE)


class GapKind(StrEnum):
    """The kinds of gap between what capture received and what the platform lists."""

    MISSING = "missing"  # never received
    CHANGED = "changed"  # received, but not its end
    LIVE_ONLY = "live_only"  # received, and the platform does not list it


class Comparison(StrEnum):
    """The result of comparing a read conversation with the store as the run found it."""

    MISSING = "missing"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class Provenance(StrEnum):
    """The sources that a conversation is known from."""

    LIVE = "live"  # capture
    RECONCILED = "reconciled"  # a reading
    BOTH = "both"


class SetAside(StrEnum):
    """The reasons why a conversation that has not ended is followed up less often (`conversations.followed`)."""

    STUCK = "stuck"  # open for too long
    GONE = "gone"  # the platform no longer knows it


class AlertKind(StrEnum):
    """The kinds of news that the hook sends on."""

    WINDOW_FAILED = "window.failed"
    WINDOW_SETTLED = "window.settled"
    GAP_FOUND = "gap.found"
    CAPTURE_DEAF = "capture.deaf"  # nothing has listened for a while


class EndReason(StrEnum):
    """The reasons why a span of coverage ended."""

    STOPPED = "stopped"
    KILLED = "killed"  # its process ended without a word
    DISCONNECTED = "disconnected"
    CHANNEL_LOST = "channel lost"
    TOPICS_LOST = "topics lost"  # the platform dropped topics of the channel
    TOPICS_LET_GO = "topics let go"  # the daemon dropped them
    NO_EVENTS = "no events"  # a function was not called by events for too long
    TOPIC_REJECTED = "topic rejected"
    ROLLED_OVER = "rolled over"  # a new channel took the channel's place
    QUEUE_FULL = "queue full"  # events came faster than they could be stored
