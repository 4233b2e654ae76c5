"""A policy of `[privacy]` that has become stricter, applied to what is stored already: in steps, beside whoever writes.

A note of the store says by which policy all of it was written: the loosest of all programs that have written since it
was last made to fit. How far a sweep has come is a note too, so that one that was cut short goes on there.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from typing import Any, Final

from rollbook.genesys.canonical_json import decode, spelled
from rollbook.genesys.named import NameKind
from rollbook.genesys.privacy.policy import KEEP_ALL, Policy, Treatment, is_stricter, parse
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.store.book import Book
from rollbook.store.erasure import erasing
from rollbook.store.rows.child_rows import ChildRows
from rollbook.store.rows.texts import TextIds
from rollbook.store.tables import dead_letters, notes

# Conversations in one transaction: others wait that long.
BATCH: Final = 50
# Values that were hashed or shortened before: twice would be another value, and joins would break.
_TREATED: Final = re.compile(r"hmac:[0-9a-f]{32}|[0-9]{0,5}…|…@\S+|(?:\S\.){1,3}")


class _Again(Redactor):
    """A redactor for what another may have treated before."""

    def _by(self, treatment: Treatment) -> Callable[[Any], Any] | None:
        treat = super()._by(treatment)
        if treat is None or treatment is Treatment.DROP:
            return treat
        return lambda value: value if _TREATED.fullmatch(value) else treat(value)


def text_of(policy: Policy) -> str:
    """A policy as it is noted: `parse` reads it."""
    return str(policy) if policy else "keep"


def noted(connection: sqlite3.Connection) -> Policy:
    """The policy by which all that is stored was written."""
    try:
        return parse(notes.read(connection, notes.PRIVACY) or "keep")
    except ValueError:
        return KEEP_ALL  # of a version that knows more words


def is_looser(connection: sqlite3.Connection, policy: Policy) -> bool:
    """Tell whether a policy lets more be written than the store has had so far."""
    return is_stricter(noted(connection), policy)


def note(connection: sqlite3.Connection, policy: Policy) -> None:
    """Note the policy by which what is stored was written."""
    notes.write(connection, notes.PRIVACY, text_of(policy))
    notes.drop(connection, notes.SWEPT)


def is_needed(connection: sqlite3.Connection, policy: Policy) -> bool:
    """Tell whether what is stored may not stay as it is."""
    return is_stricter(policy, noted(connection))


def sweep(
    book: Book,
    redactor: Redactor,
    *,
    on_step: Callable[[str, int], None] = lambda *_: None,
    rest: Callable[[float], None] = time.sleep,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Make all that is stored fit the redactor's policy; answers how many conversations it changed, as far as it came.

    Arguments as `retention.retain` has them. Does nothing where the policy is not stricter than before.
    """
    policy = redactor.policy
    if not book.read_now(is_needed, policy):
        return 0
    again = _Again(policy, redactor._key)
    changed = 0
    while not stopped():
        began = time.monotonic()
        after, number = book.write(_step, again).result()
        changed += number
        on_step("privacy", changed)
        if after is None:
            book.write(_others, again).result()
            break
        rest(min(time.monotonic() - began, 1.0))
    return changed


def _step(connection: sqlite3.Connection, redactor: Redactor) -> tuple[int | None, int]:
    """The next conversations; answers (the number to go on after, how many were changed)."""
    erasing.overwrite(connection)
    wanted = text_of(redactor.policy)
    after, _, of = (notes.read(connection, notes.SWEPT) or f"0 {wanted}").partition(" ")
    first = int(after) if of == wanted else 0
    query = "SELECT number FROM conversation_ids WHERE number > ? ORDER BY number LIMIT ?"
    numbers = [row[0] for row in connection.execute(query, (first, BATCH))]
    children = ChildRows(TextIds(connection))
    changed = 0
    for number in numbers:
        is_other = erasing.clean_conversation(connection, number, erasing.unless_same(redactor), children)
        changed += _attributes(connection, number, redactor) or is_other
    children.insert(connection)
    if len(numbers) < BATCH:
        return None, changed
    notes.write(connection, notes.SWEPT, f"{numbers[-1]} {wanted}")
    return numbers[-1], changed


def _attributes(connection: sqlite3.Connection, number: int, redactor: Redactor) -> bool:
    query = "SELECT participant_id, name, value FROM attribute_rows WHERE number = ?"
    changed = False
    for participant, name, value in connection.execute(query, (number,)).fetchall():
        body = spelled({"participants": [{"attributes": {name: value}}]})
        left = decode(redactor.body(body))["participants"][0].get("attributes") or {}
        if left.get(name) == value:
            continue
        changed = True
        place = (number, participant, name)
        if name in left:
            update = "UPDATE attribute_rows SET value = ?4 WHERE number = ?1 AND participant_id = ?2 AND name = ?3"
            connection.execute(update, (*place, left[name]))
        else:
            connection.execute("DELETE FROM attribute_rows WHERE number = ? AND participant_id = ? AND name = ?", place)
    return changed


def _others(connection: sqlite3.Connection, redactor: Redactor) -> None:
    """Dead letters, events of no conversation, names of the organisation's own people; and the note that all fits."""
    for number, payload in connection.execute("SELECT dead_letter_id, payload FROM dead_letters").fetchall():
        new = _letter(str(payload), redactor)
        if new != payload:
            connection.execute("UPDATE dead_letters SET payload = ? WHERE dead_letter_id = ?", (new, number))
    dead_letters.recount(connection)
    erasing.clean_events_of_nobody(connection, erasing.unless_same(redactor))
    for (name,) in connection.execute("SELECT DISTINCT name FROM names WHERE kind = ?", (NameKind.USER,)).fetchall():
        called = redactor.agent_name(name)
        if called != name:
            update = "UPDATE names SET name = coalesce(?1, id) WHERE kind = ?2 AND name = ?3"
            connection.execute(update, (called, NameKind.USER, name))
    note(connection, redactor.policy)


_DONE: Final = re.compile(r"\((?:withheld by \[privacy\]|erased on request).*\)", re.DOTALL)


def _letter(payload: str, redactor: Redactor) -> str:
    if _DONE.fullmatch(payload):
        return payload
    raw = payload.encode(errors="surrogatepass")
    made = redactor.payload(raw)
    try:
        return payload if decode(made) == decode(raw) else made.decode()
    except (ValueError, RecursionError):
        return made.decode()
