"""The headline of a store: until when it is complete, in one sentence, and how the store shows capture to be. Pure.

`rollbook status`, the page and `/status.txt` begin with it. The state's words and reasons are those of `/healthz`
(`reasons.py`), as far as they can be known from the store alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import from_text
from rollbook.store import reasons
from rollbook.store.reasons import Reason, ReasonKind


def minute(text: str) -> str:
    """A time as people read it: `2026-03-02 10:00 UTC`."""
    return f"{text[:10]} {text[11:16]} UTC"


def sentence(*, complete_until: str | None, settled_until: str | None, gaps: int, unfilled: int, now: str) -> str:
    """Until when the store is complete and settled, and what capture missed. Times are API text."""
    if complete_until is None:
        proven = f"Nothing is complete yet, as of {minute(now)}"
    elif settled_until == complete_until:
        proven = f"Complete and settled until {minute(complete_until)}"
    else:
        settled = f"settled until {minute(settled_until)}" if settled_until else "nothing settled yet"
        proven = f"Complete until {minute(complete_until)}, {settled}"
    if not gaps:
        missed = "no gaps"
    else:
        filled = "all filled" if not unfilled else f"{unfilled:,} unfilled" if unfilled < gaps else "none filled"
        missed = f"{count(gaps, 'gap')}, {filled}" if gaps > 1 else f"1 gap, {'unfilled' if unfilled else 'filled'}"
    return f"{proven}; {missed}."


def why(
    found: dict[str, Any], *, last_sign: str | None, by_function: bool, failed: int, now: datetime
) -> Iterator[Reason]:
    """The reasons for which the store does not look well.

    found: what `status.collect` knows of capture and windows; last_sign: when capture was seen to listen last;
    by_function: it is a function, which listens whether or not it is called; failed: the windows of the last 31 days
    that failed.
    """
    capture, ledger = found["capture"], found["windows"]
    has_listened, listens = capture["since"] is not None, capture["listening"] or by_function
    if has_listened and not listens:
        silent = 0.0 if last_sign is None else _age(last_sign, now)
        if silent > reasons.DEAD:
            text = f"nothing has listened for {reasons.long(silent)}: is the daemon running? (`rollbook run`)"
            yield Reason(ReasonKind.NOTHING_LISTENS, text, is_dead=True)
        else:
            yield Reason(ReasonKind.LINE_DOWN, "nothing listens now")
    elif not has_listened and not ledger["by_verdict"]:
        yield Reason(ReasonKind.NOTHING_TO_LISTEN_TO, "nothing has been heard or read yet (`rollbook run`)")
    due = ledger["due"]
    if due["oldest_end"] is not None:
        yield from reasons.windows_due(due["count"], _age(due["oldest_end"], now))
    yield from reasons.windows_failed(failed)
    yield from reasons.not_understood(found["dead_letters_last_hour"])
    if listens and capture["last_event_at"] is not None:
        yield from reasons.no_events(_age(capture["last_event_at"], now))
    if refused := len(found["rejected_topics"]):
        missing = sorted({name for topic in found["rejected_topics"] for name in topic["missing_permissions"]})
        lacks = f": missing permission {', '.join(missing)}" if missing else ""
        yield Reason(ReasonKind.TOPICS_REFUSED, f"{count(refused, 'topic is', 'topics are')} refused{lacks}")


def _age(text: str, now: datetime) -> float:
    return max((now - from_text(text)).total_seconds(), 0.0)
