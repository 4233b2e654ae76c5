"""The simulator's unfriendly behaviours, as a client meets them over HTTP: each kind of quirk, and what it leaves alone."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollbook.simulator.faults.broken_bytes import BYTES, ODD
from rollbook.simulator.faults.gateways import SPELLINGS
from rollbook.simulator.faults.partial_answers import ERRORS_WITH_200, TOTALS
from rollbook.simulator.faults.script import KINDS, Fault, ScriptError, load
from rollbook.simulator.faults.slow_answers import CURSORS
from tests.helpers.guest import DETAILS, HOUR, NOON, QUEUES, START, Guest, refusal, signed_in
from tests.helpers.whole import start

QUERY = "POST */details/query"
RESULTS = "GET */results"
LISTS = "GET /api/v2/routing/queues"


@pytest.fixture
async def guest() -> AsyncIterator[Guest]:
    """Signed in to an organisation of half a day and of 60 queues, whose clock stands."""
    async with signed_in(queues=60, rate_limit=10_000) as client:
        yield client


def strike(guest: Guest, kind: str, path: str | None = None, *, count: int | None = None, **parameters: Any) -> None:
    """Add a fault as a script has it."""
    script = {"kind": kind, "count": count, **({"path": path} if path else {}), **parameters}
    for fault in load(json.dumps([script])):
        guest.simulator.faults.add(fault)


def page(number: int, size: int = 10, interval: str = HOUR) -> dict[str, Any]:
    """A details query of a page."""
    return {"interval": interval, "paging": {"pageSize": size, "pageNumber": number}}


async def by_id(guest: Guest, *ids: str) -> httpx.Response:
    """What is found by id."""
    return await guest.get(DETAILS, id=",".join(ids))


async def job(guest: Guest, interval: str = HOUR) -> str:
    """A job that is done, or has failed."""
    answer = await guest.http.post(f"{DETAILS}/jobs", json={"interval": interval}, headers=guest.headers)
    guest.seconds.at += 10
    return f"{DETAILS}/jobs/{answer.json()['jobId']}"


def found(answer: httpx.Response) -> set[str]:
    """The conversations of an answer."""
    return {row["conversationId"] for row in answer.json().get("conversations", ())}


# What is too much


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("status", [400, 408, 413, 500, 502, 503, 504])
async def test_a_gateway_refuses_what_is_too_much_in_any_spelling(guest: Guest, status: int, spelling: str) -> None:
    """The status, and the platform's body, HTML, another's JSON, text, or nothing."""
    strike(guest, "too_much", QUERY, rows=5, status=status, body=spelling)
    answer = await guest.query()
    assert answer.status_code == status
    if spelling == "platform":
        body = refusal(answer, status, answer.json()["code"])
        assert (body["code"] == "response.entity.too.large") is (status == 400)
    elif spelling == "html":
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.text.startswith("<html>")
    elif spelling == "json":
        assert answer.json().keys() == {"message"}
    else:
        assert bool(answer.content) is (spelling == "text")


async def test_too_many_rows_are_had_in_narrower_intervals(guest: Guest) -> None:
    """An interval with more rows than that is refused on every page, past the last too; parts of it are answered."""
    everything = await guest.ids()
    strike(guest, "too_much", QUERY, rows=len(everything) - 1)
    assert [(await guest.query(**page(number))).status_code for number in (1, 2, 90)] == [502] * 3
    halves = [HOUR.replace("11:00", "10:30"), HOUR.replace("10:00", "10:30")]
    assert set.union(*[found(await guest.query(**page(1, 100, half))) for half in halves]) == everything


async def test_pages_beyond_a_row_are_refused(guest: Guest) -> None:
    """The first pages come, those beyond do not, whatever their size."""
    strike(guest, "too_much", QUERY, beyond=20)
    assert [(await guest.query(**page(number))).status_code for number in (1, 2, 3)] == [200, 200, 502]
    assert (await guest.query(**page(1, 100))).status_code == 502


async def test_an_answer_of_too_many_bytes_is_had_in_smaller_pages(guest: Guest) -> None:
    """The same rows, fewer at once."""
    bound = len((await guest.query(**page(1, 20))).content) - 1
    strike(guest, "too_much", QUERY, bytes=bound, status=413)
    refusal(await guest.query(**page(1, 20)), 413, "request.entity.too.large")
    assert (await guest.query(**page(1, 2))).status_code == 200


async def test_a_jobs_page_is_too_slow_unless_it_is_small(guest: Guest) -> None:
    """504 for a thousand rows a page, an answer for ten."""
    done = await job(guest)
    strike(guest, "too_much", RESULTS, page_rows=10, status=504, seconds=0.01)
    await guest.get(done)
    assert (await guest.get(f"{done}/results")).status_code == 504
    assert len(found(await guest.get(f"{done}/results", pageSize=10))) == 10


async def test_too_wide_an_interval_and_too_many_ids(guest: Guest) -> None:
    """Both are refused, and less of either is not."""
    strike(guest, "too_much", QUERY, width=1800)
    strike(guest, "too_much", f"GET {DETAILS}", ids=3)
    assert (await guest.query()).status_code == 502
    ids = sorted(guest.simulator.world.by_id)[:4]
    assert [(await by_id(guest, *ids[:many])).status_code for many in (4, 3)] == [502, 200]


async def test_a_slice_of_time_is_always_refused(guest: Guest) -> None:
    """Whatever touches it: a query, and a job; what does not is answered."""
    strike(guest, "slice", start="2026-03-02T10:20:00Z", end="2026-03-02T10:30:00Z")
    assert (await guest.query()).status_code == 500
    assert (await guest.query(**page(1, 10, HOUR.replace("11:00", "10:20")))).status_code == 200
    answer = await guest.http.post(f"{DETAILS}/jobs", json={"interval": HOUR}, headers=guest.headers)
    assert answer.status_code == 500


async def test_one_record_poisons_every_answer_that_has_it(guest: Guest) -> None:
    """A page, by id, a job's page; its neighbours alone are answered."""
    done = await job(guest)
    await guest.get(done)
    first = (await guest.query(**page(1, 1))).json()["conversations"][0]["conversationId"]
    other = (await guest.query(**page(2, 1))).json()["conversations"][0]["conversationId"]
    strike(guest, "poison", ids=[first])
    poisoned = [
        await guest.query(**page(1)),
        await by_id(guest, first, other),
        await guest.get(f"{done}/results"),
        await guest.get(f"/api/v2/analytics/conversations/{first}/details"),
    ]
    assert [answer.status_code for answer in poisoned] == [500] * 4
    assert found(await guest.query(**page(2, 1))) == {other} == found(await by_id(guest, other))


async def test_one_job_always_fails(guest: Guest) -> None:
    """However often it is begun; a job of another time is done."""
    guest.simulator.faults.add(
        Fault(
            "failing_jobs",
            at=NOON,
            parameters={"start": "2026-03-02T10:00:00Z", "end": "2026-03-02T10:01:00Z", "message": "No."},
        )
    )
    states = [
        (await guest.get(await job(guest, interval))).json()
        for interval in (HOUR, HOUR, HOUR.replace("T10:0", "T10:3"))
    ]
    assert [state["state"] for state in states] == ["FAILED", "FAILED", "FULFILLED"]
    assert states[0]["errorMessage"] == "No."


# Ids


async def test_an_id_spoils_a_batch(guest: Guest) -> None:
    """An unknown one, one that is no id, too long an address: each has its status, and others are found."""
    known = sorted(await guest.ids())[:3]
    unknown = "00000000-0000-4000-8000-000000000000"
    strike(guest, "unknown_id", f"GET {DETAILS}")
    assert [(await by_id(guest, *ids)).status_code for ids in (known, [*known, unknown])] == [200, 404]
    guest.simulator.faults = type(guest.simulator.faults)([], START)
    strike(guest, "bad_id", f"GET {DETAILS}")
    strike(guest, "long_address", most=200)
    assert [(await by_id(guest, *ids)).status_code for ids in (known[:1], ["x y"], [unknown], known * 4)] == [
        200,
        400,
        200,
        414,
    ]


async def test_an_address_that_is_too_long_is_refused_by_the_organisation(guest: Guest) -> None:
    """However long: with its own body and its own time."""
    for length in (9_000, 60_000):
        answer = await by_id(guest, "x" * length)
        refusal(answer, 414, "uri.too.long")
        assert parsedate_to_datetime(answer.headers["Date"]) == NOON


# Emptiness


async def test_emptiness_comes_once_and_on_a_page(guest: Guest) -> None:
    """`{}` for any answer: the second page of a query, by id, a job's page, lists, the organisation; then no more."""
    everything, done = sorted(await guest.ids()), await job(guest)
    await guest.get(done)
    strike(guest, "empty", QUERY, count=1, page=2)
    assert [found(await guest.query(**page(number))) == set() for number in (1, 2, 2)] == [False, True, False]
    asked: list[Callable[[], Coroutine[Any, Any, httpx.Response]]] = [
        lambda: by_id(guest, *everything[:3]),
        lambda: guest.get(f"{done}/results"),
        lambda: guest.get(QUEUES),
        lambda: guest.get("/api/v2/organizations/me"),
        lambda: guest.get("/api/v2/authorization/divisions"),
        lambda: guest.get("/api/v2/users"),
        lambda: guest.get("/api/v2/notifications/channels"),
    ]
    for ask in asked:
        strike(guest, "empty", count=1)
        assert [(await ask()).content == b"{}" for _ in range(2)] == [True, False]


@pytest.mark.parametrize("spelling", ERRORS_WITH_200)
async def test_an_errors_body_with_status_200(guest: Guest, spelling: str) -> None:
    """It is no page of details, and says 200."""
    strike(guest, "error_body", QUERY, count=1, spelling=spelling)
    answer = await guest.query()
    assert answer.status_code == 200
    assert b"conversations" not in answer.content
    assert len(answer.content) > 10
    assert await guest.ids()


async def test_a_shard_is_away_for_a_list_or_by_id(guest: Guest) -> None:
    """The list lacks the same share each time and its total agrees with it; by id all are found; or the other way."""
    everything = await guest.ids()
    strike(guest, "shard", QUERY, share=0.3, seed=4)
    answers = [await guest.query() for _ in range(2)]
    assert found(answers[0]) == found(answers[1])
    assert 0 < len(found(answers[0])) < len(everything)
    assert answers[0].json()["totalHits"] == len(found(answers[0]))
    away = sorted(everything - found(answers[0]))
    assert found(await by_id(guest, *away)) == set(away)
    strike(guest, "shard", f"GET {DETAILS}", ids=away[:1])
    assert found(await by_id(guest, *away)) == set(away[1:])


async def test_a_shard_is_away_for_jobs(guest: Guest) -> None:
    """A job that is finished meanwhile lacks it."""
    everything = await guest.ids()
    strike(guest, "shard", "* */jobs/*", ids=sorted(everything)[:2])
    done = await job(guest)
    await guest.get(done)
    assert everything - found(await guest.get(f"{done}/results")) == set(sorted(everything)[:2])
    assert await guest.ids() == everything


async def test_an_answer_with_fewer_rows_than_its_total(guest: Guest) -> None:
    """Half of the rows are not in it."""
    ids = sorted(await guest.ids())[:10]
    strike(guest, "fewer", count=2)
    answer = (await guest.query()).json()
    assert len(answer["conversations"]) == answer["totalHits"] // 2
    assert [len(found(await by_id(guest, *ids))) for _ in range(2)] == [5, 10]


async def test_a_replica_answers_from_the_past(guest: Guest) -> None:
    """What began since is missing, what has ended since goes on."""
    strike(guest, "stale", QUERY, seconds=5400, count=1)
    old = {row["conversationId"]: row for row in (await guest.query()).json()["conversations"]}
    new = {row["conversationId"]: row for row in (await guest.query()).json()["conversations"]}
    assert old.keys() < new.keys()
    assert any(
        "conversationEnd" not in row and "conversationEnd" in new[conversation_id]
        for conversation_id, row in old.items()
    )


async def test_divisions_are_taken_away_for_a_time(guest: Guest) -> None:
    """Lists, queries and the divisions themselves agree; afterwards all are back."""
    everything, queues = await guest.ids(), (await guest.get(QUEUES)).json()["total"]
    guest.simulator.faults.add(
        Fault("fewer_divisions", count=None, until=NOON + timedelta(minutes=1), parameters={"most": 1})
    )
    divisions = (await guest.get("/api/v2/authorization/divisions")).json()["entities"]
    assert len(divisions) == 1
    assert {entity["division"]["id"] for entity in (await guest.get(QUEUES)).json()["entities"]} == {divisions[0]["id"]}
    assert (await guest.get(QUEUES)).json()["total"] < queues
    assert await guest.ids() < everything
    guest.simulator.clock.advance(timedelta(minutes=2))
    assert await guest.ids() >= everything
    assert (await guest.get(QUEUES)).json()["total"] == queues


async def test_an_empty_page_in_the_middle_of_a_list(guest: Guest) -> None:
    """Its fields are those of every page, and the next one has rows."""
    strike(guest, "empty_page", LISTS, page=2)
    pages = [(await guest.get(QUEUES, pageNumber=number)).json() for number in (1, 2, 3)]
    assert [len(page["entities"]) for page in pages] == [25, 0, 10]
    assert {page["pageCount"] for page in pages} == {3}
    assert "nextUri" in pages[1]


async def test_fields_are_absent_or_wrong(guest: Guest) -> None:
    """A list without `pageCount` and with a `nextUri` of its own; only what is there is changed, or added if so asked."""
    strike(guest, "fields", LISTS, drop=["pageCount"], set={"nextUri": "/elsewhere", "strange": 1})
    strike(guest, "fields", "GET */organizations/me", set={"extra": 1}, drop=["id"], add=True)
    first = (await guest.get(QUEUES)).json()
    assert first["nextUri"] == "/elsewhere"
    assert not first.keys() & {"pageCount", "strange"}
    organization = (await guest.get("/api/v2/organizations/me")).json()
    assert organization["extra"] == 1
    assert "id" not in organization


@pytest.mark.parametrize("says", TOTALS)
async def test_a_total_is_wrong(guest: Guest, says: str) -> None:
    """The rows are well, the total is not: it errs, stops at a bound, is absent, is no number."""
    true = (await guest.query()).json()
    strike(guest, "totals", QUERY, says=says, most=5)
    answers = [(await guest.query()).json() for _ in range(4)]
    assert all(answer["conversations"] == true["conversations"] for answer in answers)
    assert any(answer.get("totalHits") != true["totalHits"] for answer in answers)
    assert all(("totalHits" in answer) is (says != "absent") for answer in answers)


@pytest.mark.parametrize("how", ["deleted", "hidden"])
async def test_rows_shift_between_pages(guest: Guest, how: str) -> None:
    """The total stays, and one that was there all the time is on neither page."""
    before = await guest.ids()
    strike(guest, "shift", QUERY, how=how, count=1)
    answers = [await guest.query(**page(number)) for number in range(1, 12)]
    assert len({answer.json()["totalHits"] for answer in answers if "totalHits" in answer.json()}) == 1
    there = set(guest.simulator.truth(START, NOON)) & before
    assert len(there - set[str]().union(*map(found, answers))) == 1


# No progress, and no end


@pytest.mark.parametrize("names", CURSORS)
async def test_a_cursor_that_stands_still(guest: Guest, names: str) -> None:
    """The last page names one again, and following it leads to no end; `end` and `new` to pages without rows."""
    done, everything = await job(guest), await guest.ids()
    await guest.get(done)
    strike(guest, "standing_cursor", RESULTS, names=names)
    seen, cursor = [], ""
    for _ in range(12):
        answer = (await guest.get(f"{done}/results", pageSize=20, **({"cursor": cursor} if cursor else {}))).json()
        seen.append((frozenset(row["conversationId"] for row in answer["conversations"]), cursor))
        cursor = answer["cursor"]
    assert set.union(*(set(ids) for ids, _ in seen)) == everything
    assert (seen[-1][0] == frozenset()) is (names in ("end", "new"))
    assert (len(set(seen)) == len(seen)) is (names == "new")


async def test_pages_repeat_for_ever(guest: Guest) -> None:
    """Past the last page of a query is the last; a cache gives one page for every number; a list names another always."""
    strike(guest, "endless_pages")
    answers = [await guest.query(**page(number)) for number in (1, 4, 80, 81)]
    assert found(answers[2]) == found(answers[3]) != set()
    lists = [(await guest.get(QUEUES, pageNumber=number)).json() for number in (1, 2, 70)]
    assert [(answer["pageNumber"], answer["pageCount"], len(answer["entities"])) for answer in lists] == [
        (1, 2, 25),
        (2, 3, 25),
        (70, 71, 25),
    ]
    assert "pageNumber=71" in lists[2]["nextUri"]
    strike(guest, "same_page", QUERY)
    assert found(await guest.query(**page(3))) == found(await guest.query(**page(1)))


@pytest.mark.parametrize("what", ["body", "spaces"])
async def test_a_trickle_comes_by_bytes(guest: Guest, what: str) -> None:
    """The head comes at once, and what follows has no end within reach, though the connection is never silent."""
    strike(guest, "trickle", QUERY, what=what, seconds=0.001)
    async with guest.http.stream("POST", f"{DETAILS}/query", json=page(1), headers=guest.headers) as answer:
        assert answer.status_code == 200
        pieces = []
        async for piece in answer.aiter_raw():
            pieces.append(piece)
            if len(pieces) > 5:
                break
    read = b"".join(pieces)
    assert len(read) < 500
    assert read.strip() == (read if what == "body" else b"")


@pytest.mark.parametrize("what", ["spaces", "rows"])
async def test_a_body_without_end(guest: Guest, what: str) -> None:
    """It goes on beyond anything that a page has."""
    strike(guest, "endless", QUERY, what=what)
    size = 0
    async with guest.http.stream("POST", f"{DETAILS}/query", json=page(1), headers=guest.headers) as answer:
        async for piece in answer.aiter_raw():
            size += len(piece)
            if size > 20_000_000:
                break
    assert size > 20_000_000


async def test_a_gzip_bomb_is_proper_json(guest: Guest) -> None:
    """Little on the way, and much when it is unpacked; the rows are in it, and so is the checksum."""
    plain = (await guest.query()).json()
    strike(guest, "bomb", QUERY, mb=40)
    async with guest.http.stream("POST", f"{DETAILS}/query", json=page(1, 100), headers=guest.headers) as answer:
        packed = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(packed) < 200_000
    unpacker = zlib.decompressobj(wbits=31)
    body = unpacker.decompress(packed)
    assert unpacker.eof
    assert len(body) > 40_000_000
    assert json.loads(body) == plain


@pytest.mark.parametrize("head", [True, False])
async def test_an_answer_that_never_comes(guest: Guest, head: bool) -> None:
    """The client's patience ends; with a head it has a status, and no body."""
    strike(guest, "hang", QUERY, head=head)
    with pytest.raises(httpx.ReadTimeout):
        await guest.http.post(f"{DETAILS}/query", json=page(1), headers=guest.headers, timeout=0.1)
    if head:
        async with guest.http.stream("POST", f"{DETAILS}/query", json=page(1), headers=guest.headers) as answer:
            assert answer.status_code == 200


@pytest.mark.parametrize(("kind", "more"), [("hang", {}), ("hang", {"head": True}), ("trickle", {"what": "spaces"})])
async def test_what_never_comes_may_be_cut(guest: Guest, kind: str, more: dict[str, Any]) -> None:
    """After so many seconds the connection ends; the next request is answered."""
    strike(guest, kind, QUERY, count=1, cut_after=0.05, **more)
    with pytest.raises(httpx.RemoteProtocolError):
        await guest.query()
    assert await guest.ids()


async def test_a_job_that_never_gets_done(guest: Guest) -> None:
    """It is PENDING for ever, or in a state that nobody knows."""
    done = await job(guest)
    strike(guest, "stuck_job", "GET */jobs/*", state="DAYDREAMING", count=1)
    assert [(await guest.get(done)).json()["state"] for _ in range(2)] == ["DAYDREAMING", "FULFILLED"]


# Clocks


async def test_every_answer_has_the_organisations_own_date(guest: Guest) -> None:
    """A query, a sign-in, a refused one, an unknown path, an error of a script, a limit: all say its time, not ours."""
    form = {"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "nothing"}
    strike(guest, "status", "GET */users", count=1, status=503)
    strike(guest, "too_much", f"GET {DETAILS}", ids=0, body="html")
    strike(guest, "trickle", "GET */organizations/me", seconds=0)
    answers = [
        await guest.query(),
        await guest.sign_in(),
        await guest.http.post("/oauth/token", data=form),
        await guest.http.get(QUEUES),
        await guest.get("/nowhere"),
        await guest.get("/api/v2/users"),
        await by_id(guest, "x"),
        await guest.get("/api/v2/organizations/me"),
        await guest.get("/api/v2/notifications/channels"),
        await guest.http.get("/channels/unknown"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 401, 404, 503, 502, 200, 200, 404]
    assert {parsedate_to_datetime(answer.headers["Date"]) for answer in answers} == {NOON}


async def test_a_date_is_off_absent_or_wrong_once(guest: Guest) -> None:
    """Ahead, behind, on one answer, on all; the rest keeps the time."""
    strike(guest, "date_off", count=1, seconds=7200)
    strike(guest, "date_off", "GET */users", seconds=-86_400)
    strike(guest, "no_date", LISTS)
    dates = [(await guest.get(path)).headers.get("Date") for path in ("/api/v2/users", "/api/v2/users", QUEUES)]
    assert [parsedate_to_datetime(date) - NOON if date else None for date in dates] == [
        timedelta(hours=-22),
        timedelta(days=-1),
        None,
    ]


async def test_the_clock_jumps_and_the_index_falls_behind(guest: Guest) -> None:
    """After the jump it is later; what starts from then on is in the index later than usual, a share or all."""
    strike(guest, "clock_jump", "GET */users", count=1, seconds=3600)
    strike(guest, "index_lag", "GET */users", count=1, seconds=1800)
    await guest.get("/api/v2/users")
    simulator = guest.simulator
    assert simulator.now() == NOON + timedelta(hours=1)
    hour = "2026-03-02T13:00:00.000Z/2026-03-02T14:00:00.000Z"
    simulator.clock.advance(timedelta(hours=1))
    late = found(await guest.query(**page(1, 100, hour)))
    simulator.clock.advance(timedelta(hours=1))
    everything = found(await guest.query(**page(1, 100, hour)))
    assert 0 < len(late) < len(everything)


# Bytes and values


@pytest.mark.parametrize("what", BYTES)
async def test_one_record_is_bad_and_its_neighbours_are_well(guest: Guest, what: str) -> None:
    """The bytes of the other rows are as they were; the truth is well, and the next answer too."""
    good = (await guest.query()).content
    rows = [json.dumps(row, separators=(",", ":")).encode() for row in json.loads(good)["conversations"]]
    strike(guest, "bad_bytes", QUERY, what=what, row=1, count=1)
    answer = await guest.query()
    assert answer.status_code == 200
    assert answer.content != good
    assert rows[0] in answer.content
    assert rows[2] in answer.content
    assert rows[1] not in answer.content
    assert (await guest.query()).content == good


@pytest.mark.parametrize("what", ODD)
async def test_an_odd_record_is_odd_everywhere(guest: Guest, what: str) -> None:
    """In a list, by id, and for a filter: the truth itself is odd."""
    odd = sorted(await guest.ids())[0]
    guest.simulator.faults.add(Fault("odd_record", path="GET */users", parameters={"what": what, "ids": [odd]}))
    before = (await by_id(guest, odd)).content
    await guest.get("/api/v2/users")
    after = (await by_id(guest, odd)).content
    assert after != before
    assert json.dumps(guest.simulator.truth(START, NOON)[odd]) in json.dumps(json.loads(after))
    if what == "direction":
        clause = {"type": "and", "predicates": [{"dimension": "originatingDirection", "value": "sideways"}]}
        assert found(await guest.query(conversationFilters=[clause])) == {odd}


@pytest.mark.parametrize("what", ["field", "value", "both"])
async def test_answers_have_what_no_model_has(guest: Guest, what: str) -> None:
    """Unknown fields at every depth, and unknown values, in a query and in a list."""
    strike(guest, "strange", what=what)
    for answer in (await guest.query(), await guest.get("/api/v2/users"), await guest.get(QUEUES)):
        assert ("simulatedExtra" in answer.text) is (what != "value")
    assert ("hologram" in (await guest.query()).text) is (what != "field")


# Scripts


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('{"kind": "too_much", "status": 502}', "it needs a measure: rows, beyond"),
        ('{"kind": "too_much", "rows": 5, "body": "yaml"}', "body must be one of platform, html"),
        ('{"kind": "slice", "start": "then", "end": 5}', "'then' is neither a time nor a number of seconds"),
        ('{"kind": "slice", "start": 1}', "end is missing"),
        ('{"kind": "poison"}', "ids or share is missing"),
        ('{"kind": "shard", "ids": [1]}', "ids must be a list of texts"),
        ('{"kind": "hang", "head": 1}', "head must be true or false"),
        ('{"kind": "bomb", "mb": 5000}', "mb must be a number from 1 to 4000"),
        ('{"kind": "bad_bytes", "row": 1}', "what is missing: one of nan"),
        ('{"kind": "error_body", "spelling": "latin"}', "spelling must be one of platform"),
        ('{"kind": "odd_record", "at": 1, "what": "green", "share": 1}', "what must be one of far_end"),
        ('{"kind": "fields"}', "set or drop is missing"),
    ],
)
def test_bad_parameters_are_refused(script: str, words: str) -> None:
    """One line says what is wrong with which fault."""
    with pytest.raises(ScriptError) as error:
        load(f"[{script}]")
    assert str(error.value).startswith("fault 1 (")
    assert words in str(error.value)


async def test_what_a_quirk_leaves_alone_is_not_counted(guest: Guest) -> None:
    """`count` counts what was struck: the first query that is too wide, however many narrow ones came before."""
    narrow = HOUR.replace("11:00", "10:05")
    few = (await guest.query(**page(1, 10, narrow))).json()["totalHits"]
    strike(guest, "too_much", QUERY, count=1, rows=few)
    statuses = [(await guest.query(**page(1, 10, interval))).status_code for interval in (narrow, narrow, HOUR, HOUR)]
    assert statuses == [200, 200, 502, 200]


NEEDED: dict[str, dict[str, Any]] = {
    "too_much": {"rows": 10_000},
    "slice": {"start": 0, "end": 1},
    "poison": {"share": 0.1, "status": 503},
    "long_address": {"most": 10_000},
    "stale": {"seconds": 60},
    "fields": {"drop": ["total"]},
    "bad_bytes": {"what": "nan", "row": 0},
    "shard": {"share": 0.1},
    "bomb": {"mb": 1},
}


@pytest.mark.parametrize(
    "kind", sorted(name for name, kind in KINDS.items() if kind.chooses and name not in ("endless", "hang", "trickle"))
)
async def test_a_kind_strikes_any_path_and_is_no_error_of_the_simulators_own(
    guest: Guest, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a path it meets every request: queries, by id, jobs, lists, sign-in, channels, what is not there."""
    done = await job(guest)
    strike(guest, kind, **NEEDED.get(kind, {}))
    form = {"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "nothing"}
    for ask in (
        guest.query(),
        guest.query(**page(2)),
        guest.query(interval="never"),
        by_id(guest, "x"),
        guest.get(done),
        guest.get(QUEUES, pageNumber=9),
        guest.get(f"{done}/results"),
        guest.get("/api/v2/users"),
        guest.get("/api/v2/organizations/me"),
        guest.http.post("/oauth/token", data=form),
        guest.get("/nowhere"),
        guest.http.post("/api/v2/notifications/channels", headers=guest.headers),
    ):
        async with asyncio.timeout(10):
            assert (await ask).status_code != 500
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.process
async def test_the_command_sets_its_clock_against_ours(tmp_path: Path) -> None:
    """`--ahead`: seconds; every answer's Date shows them."""
    process = await start("simulate", "--json", "--days", "0", "--ahead", "-7200", env={}, cwd=tmp_path)
    assert process.stdout is not None
    env = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    async with httpx.AsyncClient(base_url=env["GENESYSCLOUD_API_URL"]) as http:
        date = parsedate_to_datetime((await http.get(QUEUES)).headers["Date"])
    process.terminate()
    await process.communicate()
    assert timedelta(hours=1, minutes=50) < datetime.now(UTC) - date < timedelta(hours=2, minutes=10)
