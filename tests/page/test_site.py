"""The pages as a browser gets them: what they say, what they refuse, and that looking changes nothing."""

import asyncio
import hashlib
import json
import re
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.errors import RollbookError
from rollbook.genesys.messages.details import parse_page
from rollbook.genesys.messages.notification import Notification, parse_frame
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.page import streams
from rollbook.page.server import HttpServer
from rollbook.page.views.address import ShownTime
from rollbook.page.vitals import DaemonVitals, Line
from rollbook.store import status
from rollbook.store.book import Book
from rollbook.store.rows.name_changes import ListedName, NameListing
from rollbook.store.tables import coverage, events, names, windows
from rollbook.store.tables.conversations import Read
from rollbook.store.tables.windows import RunRecord
from rollbook.store.vocabulary import Verdict
from tests.helpers.peek import peek
from tests.helpers.shown_page import Shown, shown
from tests.helpers.staged_store import LAG, NOW, WIDTH, bare_windows, staged

TOKEN = "a-token-of-many-letters"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of capture and reconciliation."""
    path = tmp_path_factory.mktemp("page") / "rollbook.db"
    staged(path, days=1, per_hour=8)
    return path


def of(path: Path, query: str) -> Any:
    """The first value of a query."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchone()[0]


class Text(HTMLParser):
    """The text, elements and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.elements, self.attributes = "", [], []  # type: ignore[var-annotated]
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


# The first line, in five states


def _nothing(path: Path) -> None:
    Book.open(path, organization=("o", "Organisation")).close()


def _listening(path: Path) -> None:
    with Book.open(path, organization=("o", "Organisation")) as book:
        span = book.write(coverage.begin, "websocket", "line 1", ["v2.a"], to_text(NOW - timedelta(hours=2))).result()
        book.write(coverage.alive, [span], to_text(NOW)).result()


def _deaf(path: Path) -> None:
    with Book.open(path, organization=("o", "Organisation")) as book:
        span = book.write(coverage.begin, "websocket", "line 1", ["v2.a"], to_text(NOW - timedelta(hours=2))).result()
        book.write(coverage.end, span, to_text(NOW - timedelta(hours=1)), "killed").result()


def _settled(path: Path) -> None:
    bare_windows(path, [Verdict.SETTLED] * 20 + [Verdict.COMPLETE] * 4, start=NOW - timedelta(hours=30))


STAGES: dict[str, Callable[[Path], None]] = {
    "nothing": _nothing,
    "listening": _listening,
    "deaf": _deaf,
    "settled": _settled,
    "two days": lambda path: staged(path, days=1, per_hour=1),
}


@pytest.mark.parametrize("stage", STAGES)
async def test_the_page_says_what_status_says(stage: str, tmp_path: Path) -> None:
    """Its first line, its state and reasons, `/status.txt` and `/status.json` are those of `status --json`."""
    path = tmp_path / "rollbook.db"
    STAGES[stage](path)
    with Book.open(path, mode="ro") as book:
        said = json.loads(json.dumps(peek(book, status.report, path, NOW, width=WIDTH)))
    async with shown(path) as page:
        found = json.loads((await page.get("/status.json")).text)
        first = await page.get("/")
        assert (await page.get("/status.txt")).text == f"{said['sentence']}\n"
    free = ("store", "disk_free")  # of the disk, which others use too
    assert {name: value for name, value in found.items() if name not in free} == {
        name: value for name, value in said.items() if name not in free
    }
    text = " ".join(Text(first.text).text.split())
    assert re.search(rf"<h1>{re.escape(said['sentence'])}</h1>", first.text)
    assert all(" ".join(why.replace("`", "").split()) in text for why in said["why"])
    assert {"well": "All is well", "degraded": "Degraded", "dead": "Dead"}[said["state"]] in text
    assert "As of 2026-03-05 10:07:00 UTC" in text
    for number in (said["gaps"], said["unfilled"]):
        assert f"{number:,}" in text


async def test_a_daemons_own_state_is_shown(store: Path) -> None:
    """Where a daemon shows the page, its state, reasons, lines, budget and latency are there, in JSON too."""
    vitals = DaemonVitals(
        state="dead",
        why=["no line has listened for 400 s"],
        lines=[Line(1, "waiting", 12, 0, 400.0, "channel lost")],
        budget_left=212.0,
        requests=1_234,
        latency={"0.1": 8, "0.5": 99, "+Inf": 100},
        waiting=3,
        waiting_for=7.0,
    )
    async with shown(store, vitals=vitals) as page:
        text = " ".join(Text((await page.get("/")).text).text.split())
        found = json.loads((await page.get("/status.json")).text)
    assert (found["state"], found["why"]) == ("dead", ["no line has listened for 400 s"])
    for words in (
        "Dead: no line has listened for 400 s",
        "waiting for 6 min 40 s (channel lost)",
        "212.0 requests left this minute",
        "1,234 requests since the start; half of the answers came within 0.5 s",
        "3 wait, the oldest for 7 s",
    ):
        assert words in text, words


async def test_what_the_panels_say_is_in_the_store(store: Path) -> None:
    """What happened, was received and missed, gaps by cause, calls below 3.5 and the queues' day, as SQL counts them."""
    async with shown(store) as page:
        html = (await page.get("/")).text
    text = " ".join(Text(html).text.split())
    happened = of(store, "SELECT count(*) FROM conversations WHERE provenance <> 'live'")
    live = of(store, "SELECT count(*) FROM conversations WHERE provenance = 'both'")
    assert f"{live / happened:.1%}".replace("%", " %") + " of what happened" in text
    gaps = of(store, "SELECT count(*) FROM gaps")
    assert f"{gaps:,} found, 0 unfilled" in text
    measured = of(
        store, "SELECT count(*) FROM conversations WHERE mos IS NOT NULL AND conversation_start >= '2026-03-04T10:07'"
    )
    poor = of(store, "SELECT count(*) FROM conversations WHERE mos < 3.5 AND conversation_start >= '2026-03-04T10:07'")
    assert f"({poor} of {measured} that were measured" in text
    offered = of(
        store,
        "SELECT sum(offered) FROM queue_intervals WHERE interval_start BETWEEN '2026-03-05' AND '2026-03-05T10:07'",
    )
    rows = re.findall(r'<tr><th scope="row">[^<]*</th><td class="n">([\d,]+)</td>', html)
    assert sum(int(row.replace(",", "")) for row in rows) == offered
    assert "user:view" in text
    number = of(store, "SELECT count(*) FROM windows")
    assert f"{number} windows in all" in text
    async with shown(store) as page:
        text = " ".join(Text((await page.get("/?from=2026-03-05&until=2026-03-05T04:00Z")).text).text.split())
    assert "8 windows begin in this time" in text


async def test_every_incident_is_a_link_to_its_proof(store: Path) -> None:
    """Each window that failed, is due or open is named with its reason; its page has every run, its digest and query."""
    async with shown(store) as page:
        html = (await page.get("/?show=incomplete")).text
        with closing(sqlite3.connect(store)) as db:
            rows = db.execute("SELECT start, reason FROM windows WHERE verdict IN ('failed', 'due', 'open')").fetchall()
        assert rows
        for start, reason in rows:
            assert f'href="/windows/{start}"' in html
            assert reason is None or reason in html
        start, digest, query = of_run(store, "complete")
        proof = (await page.get(f"/windows/{start}")).text
        text = Text(proof).text
        assert digest in text
        assert json.loads(query)["interval"] in text
        assert "all divisions" in text
        assert re.search(r'rel="prev"', proof)
        failed = next(start for start, reason in rows if reason)
        assert "rows moved in every pass" in (await page.get(f"/windows/{failed}")).text
        assert (await page.get(f"/windows/{start[:16]}Z")).text == proof


def of_run(path: Path, verdict: str) -> tuple[str, str, str]:
    """(start, digest, query) of a run of this verdict."""
    with closing(sqlite3.connect(path)) as db:
        start, digest, query = db.execute(
            "SELECT start, id_digest, query_json FROM window_runs WHERE verdict = ? ORDER BY run_id DESC", (verdict,)
        ).fetchone()
    return start, digest.hex(), query


async def test_a_conversations_page_is_its_whole_life(store: Path) -> None:
    """Names in the place of ids, each segment as a bar within its track, notifications and how they came, gap and cause."""
    query = "SELECT conversation_id FROM gaps WHERE kind = 'changed' AND conversation_id IN (SELECT conversation_id FROM segments WHERE queue_id NOT NULL)"
    identity = of(store, query)
    queue = of(
        store, f"SELECT n.name FROM segments s JOIN names n ON n.id = s.queue_id WHERE conversation_id = '{identity}'"
    )
    segments = of(store, f"SELECT count(*) FROM segments WHERE conversation_id = '{identity}'")
    async with shown(store) as page:
        html = (await page.get(f"/conversations/{identity.upper()}")).text
        assert (await page.get(f"/conversations/{identity}")).text == html
        assert (await page.get("/conversations/nobody")).status == 404
    text = " ".join(Text(html).text.split())
    assert "its end was missed (disconnected), filled." in text
    assert queue in text
    assert "notification by websocket" in text
    bars = re.findall(r'class="t-(?:talking|waiting|after)" d="M([\d.]+) 1h([\d.]+)v', html)
    assert len(bars) == segments
    assert all(float(left) + float(width) <= 1_004 for left, width in bars)
    assert "Ada Lovelace" not in html
    assert "personal fields are masked" in text


async def test_personal_fields_are_shown_where_a_setting_asks_for_them(store: Path) -> None:
    """With [page] personal the names and addresses are there."""
    identity = of(store, "SELECT conversation_id FROM events WHERE body LIKE '%Ada%' OR 1 LIMIT 1")
    async with shown(store, personal=True) as page:
        html = (await page.get(f"/conversations/{identity}")).text
    assert "Ada Lovelace" in html
    assert "masked" not in Text(html).text


async def test_every_kind_of_window_and_conversation_has_its_page(tmp_path: Path) -> None:
    """A proof taken over from a wider interval, one for a filter; a conversation that was rewritten, or is gone."""
    path, at = tmp_path / "rollbook.db", to_text(NOW - timedelta(hours=1))
    day = Interval(from_text("2026-03-03T00:00Z"), from_text("2026-03-04T00:00Z"))
    identity, start = "7c1f0d6e-52f1-4c1b-9a6c-2b8f1f4f9d21", to_text(day.start)
    run = RunRecord(
        start=day.texts[0], end=day.texts[1], filter="", command="reconcile", via="job", started_at=at,
        finished_at=at, as_of=at, verdict=Verdict.COMPLETE, query_json="{}", seconds=1.0, reading="job",
    )  # fmt: skip
    with Book.open(path, organization=("o", "Organisation")) as book:
        for number, moment in enumerate((at, to_text(NOW))):
            record: dict[str, Any] = {"conversationId": identity, "conversationStart": start, "conversationEnd": start}
            record |= {"mediaStatsMinConversationMos": 4.0 + number / 10}
            record |= {"participants": [{"participantId": "p", "attributes": {"secret name": str(number)}}]}
            read = Read(moment, moment, moment, frozenset(), LAG)
            rows = parse_page(json.dumps({"conversations": [record]}).encode()).rows
            book.write(
                windows.write_details, rows, read, window=day, width=WIDTH, cause=lambda *_: "not running"
            ).result()
        book.write(windows.finish, run).result()
        children = [(start, to_text(day.start + WIDTH))]
        book.write(windows.inherit, (*day.texts, ""), children, at=at).result()
        filtered = replace(run, filter="only voice", figures={"owned": 3}, divisions_json='["d"]')
        book.write(windows.finish, filtered).result()
        gone = "UPDATE conversation_rows SET followed = 'gone'"
        book.write(lambda db: db.execute(gone).rowcount).result()
        book.write(
            lambda db: (
                db.execute("INSERT INTO asked_by_id VALUES (?, ?, ?, 'not permitted')", (identity, at, at)).rowcount
            )
        ).result()
    async with shown(path) as page:
        text = " ".join(Text((await page.get(f"/windows/{start}")).text).text.split())
        assert "Proven by the reading of 2026-03-03, which has all of it." in text
        assert "Proven for a filter alone: only voice" in text
        assert "a job's data" in text
        html = (await page.get(f"/conversations/{identity}")).text
    text = " ".join(Text(html).text.split())
    assert "rewritten: 2 places differ from the read before" in text
    assert "mediaStatsMinConversationMos, participants[0].attributes.•••" in text
    assert "secret name" not in html
    assert "refused: not permitted" in text
    assert "missed by live capture (not running), filled." in text


# What is refused, and what is never done


async def test_what_is_asked_wrongly_is_one_sentence(store: Path) -> None:
    """An address that says nothing is 400 or 404 with what to write; no other method than GET and HEAD is answered."""
    async with shown(store) as page:
        for path, status_code, words in (
            ("/?from=yesterday", 400, "from as a day or a time such as 2026-03-02"),
            ("/?from=2026-03-02&until=2026-03-01", 400, "an until that lies after from"),
            ("/windows/then", 400, "ends with its start, such as 2026-03-02T10:00Z"),
            ("/windows/1999-01-01T00:00Z", 404, "No window of the ledger begins at 1999-01-01 00:00"),
        ):
            got = await page.get(path)
            assert (got.status, words in got.text) == (status_code, True), path
        for method in ("POST", "PUT", "DELETE"):
            assert (await page.get("/", method=method)).status == 405
        head = await page.get("/", method="HEAD")
        assert (head.status, head.text) == (200, "")
        assert (await page.get("/live", method="HEAD")).text == ""


async def test_looking_writes_nothing(store: Path) -> None:
    """Every page leaves the file, its log and everything in it as they were."""
    identity = of(store, "SELECT conversation_id FROM gaps LIMIT 1")
    start = of(store, "SELECT start FROM windows LIMIT 1")
    files = [store, *store.parent.glob("*-wal")]
    before = [hashlib.sha256(file.read_bytes()).digest() for file in files]
    async with shown(store) as page:
        for path in (
            "/",
            "/?from=2026-03-04",
            f"/windows/{start}",
            f"/conversations/{identity}",
            "/status.json",
            "/status.txt",
        ):
            assert (await page.get(path)).status == 200
    assert [hashlib.sha256(file.read_bytes()).digest() for file in files] == before


async def test_a_page_lets_in_nothing_but_its_own_files(store: Path) -> None:
    """The policy refuses everything else, no element carries a style or a program, and every address is this page's."""
    identity = of(store, "SELECT conversation_id FROM gaps LIMIT 1")
    start = of(store, "SELECT start FROM windows LIMIT 1")
    async with shown(store) as page:
        for path in ("/", f"/windows/{start}", f"/conversations/{identity}", "/?from=bad"):
            got = await page.get(path)
            policy = got.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; ")
            assert "unsafe" not in policy
            assert (got.headers["X-Content-Type-Options"], got.headers["Cache-Control"]) == ("nosniff", "no-store")
            read = Text(got.text)
            addresses = [value for name, value in read.attributes if name in ("href", "src", "action")]
            assert all(value and value[0] in "/#" and not value.startswith("//") for value in addresses)
            assert not {name for name, _ in read.attributes if name == "style" or name.startswith("on")}
        for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript"), ("page.svg", "image/svg+xml")):
            got = await page.get(f"/{name}")
            assert (got.status, got.headers["Content-Type"].partition(";")[0]) == (200, kind)
            assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import", got.text)


async def test_another_name_and_another_machine_are_refused(store: Path) -> None:
    """A name that leads here is refused on every page; with a token, none but the form and the style is shown without."""
    at_once = ("/", "/status.json", "/status.txt", "/windows/2026-03-04", "/conversations/x", "/page.js")
    paths = (*at_once, "/live", "/live/windows/2026-03-04", "/live/conversations/x")
    async with shown(store) as page:
        for path in paths:
            assert (await page.get(path, Host="evil.example:80")).status == 421
    async with shown(store, token=TOKEN) as page:
        for path in paths:
            got = await page.get(path)
            assert got.status == 401
            assert "Northwind" not in got.text
            assert (await page.get(path, Authorization="Bearer no")).status == 401
        assert (await page.get("/status.txt", Authorization=f"Bearer {TOKEN}")).status == 200
        assert (await page.get("/page.css")).status == 200


async def test_the_form_takes_the_token_for_a_cookie(store: Path) -> None:
    """A wrong token is refused; the right one is answered with a cookie that scripts cannot read, and lets in."""
    async with shown(store, token=TOKEN) as page:
        assert (await page.get("/sign-in", method="POST", data={"token": "no"})).status == 401
        assert (await page.get("/sign-in", method="POST", data={"token": TOKEN}, Host="evil.example")).status == 404
        got = await page.get("/sign-in", method="POST", data={"token": TOKEN})
        assert (got.status, got.headers["Location"]) == (303, "/")
        assert "HttpOnly; SameSite=Strict" in got.headers["Set-Cookie"]
        assert TOKEN not in got.headers["Set-Cookie"]
        assert (await page.get("/")).status == 200
    async with shown(store) as page:
        assert (await page.get("/sign-in", method="POST", data={"token": ""})).status == 404


async def test_a_socket_is_there_for_a_proxy(store: Path, tmp_path: Path) -> None:
    """By a Unix socket the page is shown under whatever name the proxy has."""
    async with shown(store, listen=f"unix:{tmp_path / 'page.sock'}") as page:
        assert (await page.get("/status.txt")).text.startswith("Complete")
        assert stat.S_IMODE((tmp_path / "page.sock").stat().st_mode) == 0o660
        with pytest.raises(RollbookError, match="Address already in use"):
            await HttpServer(f"unix:{tmp_path / 'page.sock'}", []).start()
        assert (await page.get("/status.txt")).status == 200


# Kept up to date


async def test_fifty_open_pages_cost_one_set_of_looks(store: Path) -> None:
    """Fifty browsers that open the same page, and are kept up to date, read the store as often as a single one."""
    async with shown(store) as page:
        await page.get("/")
        # What was not there within the patience of the first request comes with the next.
        async with asyncio.timeout(20):
            while any(entry.reading for entry in page.site.feed._entries.values()):
                await asyncio.sleep(0.01)
        before = page.source.reads
        await asyncio.gather(*(page.get("/") for _ in range(50)))
        assert page.source.reads == before


async def test_an_open_page_gets_the_parts_that_changed(tmp_path: Path) -> None:
    """The first message has every part of the page as it is now; the stream ends with the server."""
    path = tmp_path / "rollbook.db"
    _settled(path)
    async with shown(path) as page:
        pieces = page.site.streams.begin(lambda: page.site._parts(ShownTime()))
        assert (await anext(pieces)).startswith(b"retry")
        message = await anext(pieces)
        parts = json.loads(message.decode().removeprefix("data: "))
        first = (await page.get("/")).text
        assert set(re.findall(r'<section id="(\w+)" data-live', first)) == set(parts)
        assert "Complete and settled until" in parts["headline"] or "Complete until" in parts["headline"]
        await pieces.aclose()  # type: ignore[attr-defined]
        asked = page._session.get(f"{page.address}/live")
        async with asked as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert (await answer.content.readline()).startswith(b"retry")


async def first_message(page: Shown, path: str) -> dict[str, str]:
    """What a page that is opened now is sent first."""
    async with page._session.get(f"{page.address}/live{path}") as answer:
        while not (line := await answer.content.readline()).startswith(b"data: "):
            assert line
        return dict(json.loads(line.removeprefix(b"data: ")))


async def test_windows_and_conversations_know_that_they_are_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing changes, an open page is sent its own digest, and all who look share the look; then another.

    What is no longer in the store has an empty one.
    """
    monkeypatch.setattr(streams, "_FIRST", 0.0)
    path = tmp_path / "rollbook.db"
    staged(path, days=1, per_hour=1)
    identity = of(path, "SELECT conversation_id FROM gaps ORDER BY 1 LIMIT 1")
    window = of(path, f"SELECT window_start FROM gaps WHERE conversation_id = '{identity}'")
    paths = [f"/windows/{window}", f"/conversations/{identity}"]

    async def sent(page: Shown) -> list[tuple[str, str]]:
        for entry in page.site.feed._entries.values():
            entry.read_at -= 1_000  # everything that was seen is old
        found = [await first_message(page, each) for each in paths]
        return [(each["digest"], each["as-of"]) for each in found]

    async with shown(path) as page:
        own = [re.findall(r'data-digest="(\w+)"', (await page.get(each)).text) for each in paths]
        first = await sent(page)
        assert [[digest] for digest, _ in first] == own
        assert {as_of for _, as_of in first} == {"2026-03-05 10:07:00"}
        reads = page.source.reads
        for each in paths:
            assert (await first_message(page, each))["digest"]
        assert page.source.reads == reads
        with closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE gap_rows SET filled_at = '2026-03-05T10:07:30.000Z' WHERE window_start = ?", (window,))
            db.commit()
        page.source.time += timedelta(minutes=1)
        second = await sent(page)
        assert all(before[0] != after[0] for before, after in zip(first, second, strict=True))
        assert {as_of for _, as_of in second} == {"2026-03-05 10:08:00"}
        assert (await first_message(page, "/conversations/00000000-0000-4000-8000-000000000000"))["digest"] == ""
        assert (await page.get("/live/windows/then")).status == 400


# Strangers' texts

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'\"></title></style></textarea></script><script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% for x in range(9) %}x{% endfor %}",
    "${7*7}",
    "</pre></details><iframe src=//evil.example>",
    "<a href=//evil.example>x</a>",
    "\u202e<b>evil</b>\u2066",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!--", "-->", "]]>", "<![CDATA[", "\x00<script>", "`alert(1)`", "\\u003cscript\\u003e",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "<style>*{display:none}</style>",
]  # fmt: skip
AROUND = ["", "a {} b", "{} ", " {}", "x'{}", 'x"{}', "{0} {0}", "é{}", "<{}>", "&{};", "\n{}\n"]
WRAPPED = [around.format(text) if around else text for text in HOSTILE for around in AROUND]


async def test_hundreds_of_hostile_names_are_inert(tmp_path: Path) -> None:
    """Whatever stands in a name, an address, an attribute, a topic, a reason or an id is text on every page."""
    assert len(set(WRAPPED)) >= 200
    path = tmp_path / "rollbook.db"
    identities = _hostile_store(path)
    plain: dict[str, set[str]] = {}
    async with shown(path, personal=True, now=NOW) as page:
        await page.get("/")
        for name, address in (("first", "/?show=incomplete"), ("window", "/windows/2026-03-05T08:00Z")):
            got = await page.get(address)
            assert got.status == 200
            plain[name] = _elements(got.text)
        for identity in identities:
            got = await page.get(f"/conversations/{identity}")
            assert got.status == 200, identity
            plain["conversation"] = plain.get("conversation", set()) | _elements(got.text)
    for elements in plain.values():
        assert not elements & {"img", "iframe", "b", "math", "mi", "textarea", "object", "embed"}
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM names").fetchone()[0] >= 2 * len(WRAPPED)


def _elements(html: str) -> set[str]:
    """The elements of a page, whose programs are its own and whose attributes run nothing."""
    read = Text(html)
    assert read.elements.count("script") <= 1
    assert read.elements.count("style") == 0
    assert not {name for name, _ in read.attributes if name.startswith("on")}
    for name, value in read.attributes:
        if name in ("href", "src", "action"):
            assert value
            assert value[0] in "/#"
            assert not value.startswith("//")
    # No text is a template.
    assert "49" not in re.findall(r"<h1>([^<]*)", html)[0]
    return set(read.elements)


def _hostile_store(path: Path) -> list[str]:
    """A store in which every text that a stranger may choose is hostile; answers the ids of its conversations."""
    window = Interval(from_text("2026-03-05T08:00Z"), from_text("2026-03-05T08:30Z"))
    at = to_text(NOW - timedelta(hours=1))
    records, frames = [], []
    for number, text in enumerate(WRAPPED):
        identity = f"7c1f0d6e-52f1-4c1b-9a6c-{number:012d}"
        queue, user = f"a1b2c3d4-1111-4222-8333-{number:012d}", f"b1b2c3d4-1111-4222-8333-{number:012d}"
        start = to_text(window.start + timedelta(seconds=number))
        segment = {
            "segmentStart": start,
            "segmentEnd": start,
            "segmentType": text,
            "queueId": queue,
            "errorCode": text,
            "wrapUpCode": text,
            "wrapUpNote": text,
        }
        session = {
            "mediaType": text,
            "direction": text,
            "ani": text,
            "dnis": text,
            "remote": text,
            "sessionId": text,
            "edgeId": text,
            "segments": [segment],
        }
        session["mediaEndpointStats"] = [{"minMos": 1.0 + number / 1000, "codecs": [text], "eventTime": start}]
        participant = {
            "participantId": text,
            "participantName": text,
            "purpose": text,
            "userId": user,
            "attributes": {text: text},
            "sessions": [session],
        }
        records.append(
            {
                "conversationId": identity,
                "conversationStart": start,
                "conversationEnd": start,
                "originatingDirection": text,
                "divisionIds": [text],
                "mediaStatsMinConversationMos": 1.0 + number / 1000,
                "participants": [participant],
            }
        )
        body = {"id": identity, "name": text, text: text, "participants": []}
        frames.append(json.dumps({"topicName": f"v2.routing.queues.{queue}.conversations", "eventBody": body}))
    with Book.open(path, organization=("o", HOSTILE[2])) as book:
        for kind, beginning in (("queue", "a"), ("user", "b")):
            ids = [f"{beginning}1b2c3d4-1111-4222-8333-{number:012d}" for number in range(len(WRAPPED))]
            listed = {each: ListedName(each, text) for each, text in zip(ids, WRAPPED, strict=True)}
            book.write(names.take, kind, NameListing(at, listed, whole=True)).result()
        found = [parse_frame(frame, source="websocket", received_at=at) for frame in frames]
        book.write(events.record, [each for each in found if isinstance(each, Notification)], LAG).result()
        page = parse_page(json.dumps({"conversations": records}).encode())
        read = Read(at, at, at, frozenset(), LAG)
        book.write(
            windows.write_details, page.rows, read, window=window, width=WIDTH, cause=lambda *_: HOSTILE[1]
        ).result()
        book.write(windows.note, [(*window.texts, Verdict.DUE)], "").result()
        book.write(windows.set_verdict, *window.texts, "", Verdict.FAILED, reason=HOSTILE[2], at=at).result()
        refused = [{"topic": text, "reason": text, "missing_permissions": [text]} for text in WRAPPED]
        book.write(coverage.reject, refused, at).result()
    return [str(record["conversationId"]) for record in records]
