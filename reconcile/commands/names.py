"""`rollbook names`: what ids are called, now, at a time or ever; ids that nothing names; and a listing by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconcile.names.refresh import KindRead
from reconcile.names.refresh import refresh as list_again
from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import UsageError
from rollbook.genesys.named import NameKind, NameState
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import from_text, to_text
from rollbook.store.book import Book
from rollbook.store.organization_book import book_of
from rollbook.store.tables import names as table
from rollbook.store.tables.names import KindState, Name, Overview, WantedNames


def names(
    ids: tuple[str, ...],
    kind: tuple[str, ...],
    at: str | None,
    history: bool,
    unnamed: bool,
    refresh: bool,
    as_csv: bool,
    settings: Settings,
    as_json: bool,
) -> None:
    """Run the command as its options say, and end with its exit status."""
    kinds = [NameKind(each) for each in kind] or list(NameKind)

    def show(found: Overview, read: Sequence[KindRead] = ()) -> int:
        if as_csv:
            console.write_csv(_csv(found, unnamed=unnamed))
        else:
            console.show(as_json, lambda: _report(found, read), lambda: _lines(found, read, unnamed=unnamed))
        return 1 if any(each.trouble is not None and each.permission is None for each in read) else 0

    async def listed() -> int:
        wanted = _wanted(kinds, ids, at, history=history, clash=as_csv and as_json)
        settings.require_platform()
        async with (
            Api(settings) as api,
            book_of(await api.organization(), settings, command="rollbook names") as book,
        ):
            read = await list_again(book, api, now=api.now, kinds=kinds)
            return show(await book.read(table.overview, wanted), read)

    def stored() -> int:
        wanted = _wanted(kinds, ids, at, history=history, clash=as_csv and as_json)
        with Book.open(settings.store_path, mode="ro") as book:
            return show(book.read_now(table.overview, wanted))

    console.run(listed() if refresh else stored, as_json=as_json)


def _wanted(
    kinds: Sequence[NameKind], ids: Sequence[str], at: str | None, *, history: bool, clash: bool
) -> WantedNames:
    if clash:
        raise UsageError("--csv and --json cannot be given together")
    return WantedNames(kinds, ids, _moment(at), history)


def _moment(at: str | None) -> str | None:
    if at is None:
        return None
    try:
        return to_text(from_text(at))
    except ValueError as error:
        raise UsageError(f"--at: {error}") from None


def _report(found: Overview, read: Sequence[KindRead]) -> Mapping[str, Any]:
    listed = [
        {"kind": each.kind, **({} if each.taken is None else each.taken._asdict()), "trouble": each.trouble}
        for each in read
    ]
    return {
        "names": [name._asdict() for name in found.names],
        "unnamed": [{"kind": kind, "id": identity} for kind, identity in found.unnamed_ids],
        "kinds": [state._asdict() for state in found.kinds],
        "refreshed": listed,
    }


def _csv(found: Overview, *, unnamed: bool) -> Iterator[Iterable[object]]:
    yield ("kind", "id") if unnamed else Name._fields
    yield from found.unnamed_ids if unnamed else found.names


def _lines(found: Overview, read: Sequence[KindRead], *, unnamed: bool) -> Iterator[str]:
    for each in read:
        yield from _read_lines(each)
    if unnamed:
        yield from (f"{kind:<10} {identity}" for kind, identity in found.unnamed_ids)
    else:
        yield from map(_line, found.names)
    yield from map(_summary, found.kinds)


def _read_lines(read: KindRead) -> Iterator[str]:
    if read.trouble is not None:
        yield f"{read.kind}: not listed; {read.trouble}"
    elif read.taken is not None:
        new, renamed, deleted, entities = read.taken
        part = "" if read.whole else ", a part of the list: nothing counts as deleted"
        yield f"{read.kind}: {entities:,} listed, {new:,} new, {renamed:,} renamed, {deleted:,} deleted{part}"


def _line(name: Name) -> str:
    state = "" if name.state == NameState.ACTIVE else f" ({name.state})"
    until = "" if name.valid_to is None else f" until {_day(name.valid_to)}"
    since = "" if name.valid_from.startswith("1970") else f" since {_day(name.valid_from)}"
    return f"{name.kind:<10} {name.id:<36} {name.name}{state}{since}{until}"


def _day(at: str) -> str:
    return f"{at[:10]} {at[11:16]} UTC"


def _summary(state: KindState) -> str:
    words = [count(state.names, "name")]
    if state.unnamed:
        words.append(count(state.unnamed, "id without a name", "ids without a name"))
    if state.listed_at is None:
        words.append("never listed")
    else:
        words.append(f"listed {_day(state.listed_at)}" + ("" if state.whole else ", not all of it"))
    if state.permission:
        words.append(f"the OAuth client lacks the permission {state.permission}")
    elif state.trouble:
        words.append(f"the last try failed: {state.trouble}")
    return f"{state.kind + ':':<11} {'; '.join(words)}"
