"""The simulator as its clients meet it over HTTP: sign-in, permissions, limits, error bodies, faults, and the command."""

import asyncio
import base64
import gc
import json
import re
import signal
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollbook.simulator import Simulator
from rollbook.simulator.faults import script
from rollbook.simulator.faults.organisation_faults import ACTS
from rollbook.simulator.faults.script import Fault, Script, ScriptError, load
from tests.helpers.guest import DETAILS, HOUR, NOON, QUEUES, START, Guest, refusal, signed_in
from tests.helpers.paths import ROOT
from tests.helpers.whole import rollbook, start


@pytest.fixture
async def guest() -> AsyncIterator[Guest]:
    """Signed in to an organisation of half a day, whose clock stands."""
    async with signed_in() as client:
        yield client


# Sign-in


async def test_signing_in_by_header_or_by_form(guest: Guest) -> None:
    """Basic authentication and form fields both work, and give different tokens."""
    simulator = guest.simulator
    form = {
        "grant_type": "client_credentials",
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
    }
    answers = [await guest.sign_in(), await guest.http.post("/oauth/token", data=form)]
    bodies = [answer.json() for answer in answers]
    assert [(body["token_type"], body["expires_in"]) for body in bodies] == [("bearer", 600)] * 2
    assert bodies[0]["access_token"] != bodies[1]["access_token"]


@pytest.mark.parametrize(
    ("form", "header", "error"),
    [
        (
            {"grant_type": "client_credentials"},
            "Basic " + base64.b64encode(b"simulated-client:wrong").decode(),
            "invalid_client",
        ),
        ({"grant_type": "client_credentials"}, "Basic " + base64.b64encode(b"nobody:x").decode(), "invalid_client"),
        ({"grant_type": "client_credentials"}, "Basic %%%", "invalid_client"),
        ({"grant_type": "client_credentials"}, "Bearer x", "invalid_client"),
        ({"grant_type": "client_credentials"}, None, "invalid_client"),
        ({"grant_type": "password"}, "Basic right", "unsupported_grant_type"),
        ({}, "Basic right", "invalid_request"),
    ],
)
async def test_a_sign_in_that_is_refused(guest: Guest, form: dict[str, str], header: str | None, error: str) -> None:
    """400 and an OAuth error body, which is no ErrorBody."""
    right = base64.b64encode(f"{guest.simulator.client_id}:{guest.simulator.client_secret}".encode()).decode()
    headers = {"Authorization": header.replace("right", right)} if header else {}
    answer = await guest.http.post("/oauth/token", data=form, headers=headers)
    assert answer.status_code == 400
    body = answer.json()
    assert body["error"] == error
    assert body["description"] == body["error_description"]


async def test_tokens_end(guest: Guest) -> None:
    """After its lifetime, when it is given back, and when all are revoked, a token is refused; a new one works."""
    guest.seconds.at += 599
    assert (await guest.get(QUEUES)).status_code == 200
    guest.seconds.at += 1
    refusal(await guest.get(QUEUES), 401, "bad.credentials")
    await guest.sign_in()
    assert (await guest.http.delete("/api/v2/tokens/me", headers=guest.headers)).status_code == 200
    refusal(await guest.get(QUEUES), 401, "bad.credentials")
    await guest.sign_in()
    assert (await guest.get(QUEUES)).status_code == 200


@pytest.mark.parametrize("header", [None, "", "Basic eDp5", "Bearer"])
async def test_a_token_is_needed(guest: Guest, header: str | None) -> None:
    """Without a bearer token: 401, with the code that says so."""
    guest.headers = {} if header is None else {"Authorization": header}
    body = refusal(await guest.get(QUEUES), 401, "authentication.required")
    assert body["message"] == "No authentication bearer token specified in authorization header."


# Errors


async def test_errors_of_requests(guest: Guest) -> None:
    """What is unknown, not allowed, no JSON or too large has the platform's error body."""
    refusal(await guest.get("/api/v2/nothing"), 404, "not.found")
    refusal(await guest.get(f"{QUEUES}/nothing"), 404, "not.found")
    refusal(await guest.http.put("/oauth/token"), 405, "method.not.allowed")
    url, headers = f"{DETAILS}/query", guest.headers | {"Content-Type": "application/json"}
    refusal(await guest.http.post(url, content=b"{", headers=headers), 400, "bad.request")
    refusal(await guest.http.post(url, content=b"\xff", headers=headers), 400, "bad.request")
    refusal(await guest.http.post(url, content=b"[" * 100_000, headers=headers), 400, "bad.request")
    refusal(
        await guest.http.post(url, content=b"{}", headers=guest.headers | {"Content-Type": "text/plain"}),
        415,
        "unsupported.media.type",
    )
    refusal(await guest.http.post(url, content=b" " * 3_145_729, headers=headers), 413, "request.entity.too.large")
    refusal(await guest.get(QUEUES, pageSize=501), 400, "bad.request")
    refusal(await guest.get(QUEUES, pageNumber="x"), 400, "bad.request")
    refusal(await guest.get(DETAILS, id=",".join(str(number) for number in range(101))), 400, "bad.request")
    refusal(await guest.get(DETAILS), 400, "bad.request")


async def test_permissions(guest: Guest) -> None:
    """A client without a permission is told which one; any of several is enough."""
    sign_in, client = guest.simulator.sign_in, guest.simulator.client
    sign_in.change(client._replace(lacks=frozenset({"routing:queue:view", "analytics:conversationDetail:view"})))
    body = refusal(await guest.get(QUEUES), 403, "missing.permissions")
    assert "routing:queue:view" in body["message"]
    assert (await guest.query()).status_code == 200
    refusal(await guest.get(f"{DETAILS}/jobs/availability"), 403, "missing.permissions")
    sign_in.change(
        client._replace(
            lacks=frozenset({"analytics:conversationDetail:view", "analytics:agentConversationDetail:view"})
        )
    )
    refusal(await guest.query(), 403, "missing.any.permissions")


# Limits


async def test_300_requests_a_minute(guest: Guest) -> None:
    """Every answer counts; the one over the limit is 429 with the seconds to wait, after which all is well again."""
    for number in range(1, 301):
        answer = await guest.get("/api/v2/organizations/me")
        assert (answer.status_code, answer.headers["inin-ratelimit-count"]) == (200, str(number))
        assert answer.headers["inin-ratelimit-allowed"] == "300"
    guest.seconds.at += 20
    answer = await guest.get("/api/v2/organizations/me")
    wait = int(answer.headers["Retry-After"])
    body = refusal(answer, 429, "too.many.requests.retry.after")
    assert body["message"] == f"Rate limit exceeded the maximum. Retry the request in [{wait}] seconds"
    assert not {"messageParams", "limit"} & body.keys(), "as recorded"
    assert (wait, answer.headers["inin-ratelimit-reset"]) == (41, "41")
    former = guest.headers
    await guest.sign_in()
    assert (await guest.get(QUEUES)).status_code == 200, "each token has its own"
    guest.headers = former
    guest.seconds.at += wait
    assert (await guest.get(QUEUES)).headers["inin-ratelimit-count"] == "1"


# Details, and who sees what


async def test_details_by_id_are_those_of_the_query(guest: Guest) -> None:
    """Batches and single ones answer the same records; what does not exist is silently absent, or 404 alone."""
    truth = guest.simulator.truth(START + timedelta(hours=10), START + timedelta(hours=11))
    answer = await guest.get(DETAILS, id=",".join([*truth, "nothing", *truth]))
    assert {conversation["conversationId"]: conversation for conversation in answer.json()["conversations"]} == truth
    assert len(answer.json()["conversations"]) == len(truth)
    conversation_id = next(iter(truth))
    assert (await guest.get(f"/api/v2/analytics/conversations/{conversation_id}/details")).json() == truth[
        conversation_id
    ]
    refusal(await guest.get("/api/v2/analytics/conversations/nothing/details"), 404, "not.found")
    assert (await guest.get(DETAILS, id="nothing")).text == "{}"
    assert truth.keys() <= await guest.ids()


async def test_a_client_of_some_divisions_sees_less_without_a_word(guest: Guest) -> None:
    """Its queries, lists, jobs and single reads leave out what belongs to other divisions only."""
    simulator, everything = guest.simulator, await guest.ids()
    division = simulator.world.queues[0]["division"]["id"]
    simulator.visible_divisions = [division]
    seen = await guest.ids()
    assert set() < seen < everything
    assert all(division in simulator.world.by_id[item].record["divisionIds"] for item in seen)
    assert simulator.truth(START + timedelta(hours=10), START + timedelta(hours=11)).keys() <= seen
    other = next(iter(everything - seen))
    refusal(await guest.get(f"/api/v2/analytics/conversations/{other}/details"), 404, "not.found")
    assert (await guest.get(DETAILS, id=other)).text == "{}"
    assert {entity["division"]["id"] for entity in (await guest.get(QUEUES)).json()["entities"]} == {division}
    assert (await guest.get("/api/v2/authorization/divisions")).json()["total"] == 1
    job = (await guest.http.post(f"{DETAILS}/jobs", json={"interval": HOUR}, headers=guest.headers)).json()["jobId"]
    guest.seconds.at += 5
    rows = (await guest.get(f"{DETAILS}/jobs/{job}/results")).json()["conversations"]
    assert all(division in row["divisionIds"] for row in rows)


async def test_what_is_forgotten_is_gone_everywhere(guest: Guest) -> None:
    """After a privacy request a conversation is in no answer."""
    gone = sorted(await guest.ids())[0]
    guest.simulator.world.forget(gone)
    assert gone not in await guest.ids()
    assert gone not in guest.simulator.truth(START, NOON)
    refusal(await guest.get(f"/api/v2/analytics/conversations/{gone}/details"), 404, "not.found")


async def test_rows_move_between_pages(guest: Guest) -> None:
    """Before each query the test's hook is called with its number, and may hide rows or move the clock."""
    numbers: list[int] = []

    def drift(simulator: Simulator, queries: int) -> None:
        numbers.append(queries)
        simulator.hidden = {simulator.world.conversations[-1].id} if queries % 2 else set()

    guest.simulator.drift = drift
    day = {"interval": "2026-03-02T00:00Z/2026-03-03T00:00Z"}
    totals = [(await guest.query(**day)).json()["totalHits"] for _ in range(4)]
    assert numbers == [1, 2, 3, 4]
    assert totals[1] - totals[0] == totals[3] - totals[2] == 1


async def test_a_conversation_is_indexed_late(guest: Guest) -> None:
    """One that has just started is not found until its indexing delay has passed."""
    simulator = guest.simulator
    late = next(life for life in simulator.world.conversations if life.extra == 20)
    simulator.clock.advance(late.start + timedelta(seconds=19) - simulator.now())
    interval = "2026-03-02T00:00Z/2026-03-03T00:00Z"
    predicate = {"dimension": "conversationId", "value": late.id}
    only = {"interval": interval, "conversationFilters": [{"type": "and", "predicates": [predicate]}]}
    assert (await guest.query(**only)).text == "{}"
    simulator.clock.advance(timedelta(seconds=1))
    assert (await guest.query(**only)).json()["totalHits"] == 1


async def test_jobs_over_http(guest: Guest) -> None:
    """202 on submission, 204 on cancelling; unknown ones are 404."""
    url = f"{DETAILS}/jobs"
    answer = await guest.http.post(url, json={"interval": HOUR}, headers=guest.headers)
    job = answer.json()["jobId"]
    assert answer.status_code == 202
    assert (await guest.get(f"{url}/{job}")).json()["state"] == "QUEUED"
    answer = await guest.http.delete(f"{url}/{job}", headers=guest.headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await guest.get(f"{url}/{job}")).json()["state"] == "CANCELLED"
    refusal(await guest.get(f"{url}/{job}/results"), 400, "bad.request")
    refusal(await guest.get(f"{url}/nothing"), 404, "not.found")
    assert (await guest.get(f"{url}/availability")).json() == {"dataAvailabilityDate": "2026-03-02T12:00:00.000Z"}


async def test_aggregates_are_what_the_details_say(guest: Guest) -> None:
    """Counts by media type equal the metrics in the records, by the time they were emitted; empty buckets are absent."""
    body = {
        "interval": HOUR,
        "groupBy": ["mediaType"],
        "metrics": ["nConnected", "nOffered", "tHandle"],
        "granularity": "PT15M",
    }
    url = "/api/v2/analytics/conversations/aggregates/query"
    answer = (await guest.http.post(url, json=body, headers=guest.headers)).json()
    expected = Counter[tuple[str, str]]()
    for record in guest.simulator.truth(START, NOON).values():
        for session in (session for participant in record["participants"] for session in participant["sessions"]):
            for metric in session["metrics"]:
                if metric["name"] in body["metrics"] and "2026-03-02T10" <= metric["emitDate"] < "2026-03-02T11":
                    expected[session["mediaType"], metric["name"]] += 1
    found = Counter[tuple[str, str]]()
    for result in answer["results"]:
        for bucket in result["data"]:
            assert re.fullmatch(r"2026-03-02T10:\d\d:00.000Z/2026-03-02T1[01]:\d\d:00.000Z", bucket["interval"])
            for metric in bucket["metrics"]:
                found[result["group"]["mediaType"], metric["metric"]] += metric["stats"]["count"]
    assert found == expected
    assert len({kind for kind, _ in found}) == 4
    odd: tuple[Any, ...] = (
        {"metrics": []},
        {"metrics": ["x"]},
        {"groupBy": ["shoeSize"]},
        {"granularity": "PT"},
        {"interval": "x"},
    )
    for wrong in odd:
        refusal(await guest.http.post(url, json=body | wrong, headers=guest.headers), 400, "bad.request")
    agent = {"type": "and", "predicates": [{"dimension": "purpose", "value": "agent"}]}
    answer = (await guest.http.post(url, json=body | {"filter": agent}, headers=guest.headers)).json()
    assert {
        metric["metric"] for result in answer["results"] for data in result["data"] for metric in data["metrics"]
    } == {"tHandle"}


# Faults


async def test_a_status_after_some_requests(guest: Guest) -> None:
    """The second and third request of a path are struck, others are not."""
    guest.simulator.faults.add(Fault("status", path=f"GET {QUEUES}*", after=1, count=2, parameters={"status": 504}))
    statuses = [(await guest.get(QUEUES)).status_code for _ in range(4)]
    assert statuses == [200, 504, 504, 200]
    assert (await guest.get("/api/v2/users")).status_code == 200


async def test_a_long_wait_is_told(guest: Guest) -> None:
    """429 and 503 with Retry-After, of more than three minutes too."""
    for status in (429, 503):
        guest.simulator.faults.add(Fault("status", parameters={"status": status, "retry_after": 3600}))
        answer = await guest.get(QUEUES)
        assert (answer.status_code, answer.headers["Retry-After"]) == (status, "3600")


async def test_an_answer_is_cut_or_broken(guest: Guest) -> None:
    """The connection ends in the middle of a body; or the body ends in the middle of its JSON."""
    guest.simulator.faults.add(Fault("cut", path="POST *", parameters={"part": 0.4}))
    with pytest.raises(httpx.RemoteProtocolError):
        await guest.query()
    guest.simulator.faults.add(Fault("broken", path="POST *"))
    answer = await guest.query()
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert (await guest.query()).json()["totalHits"]


async def test_a_slow_answer(guest: Guest) -> None:
    """A client with little patience gives up; the next request is answered."""
    guest.simulator.faults.add(Fault("slow", parameters={"seconds": 30}))
    with pytest.raises(httpx.ReadTimeout):
        await guest.http.get(QUEUES, headers=guest.headers, timeout=0.05)
    assert (await guest.get(QUEUES)).status_code == 200


async def test_a_missing_permission_and_a_revoked_token(guest: Guest) -> None:
    """403 names the permission; a revoked token is 401 until the client signs in again."""
    guest.simulator.faults.add(
        Fault("forbid", path="POST *", parameters={"permission": "analytics:conversationDetail:view"})
    )
    guest.simulator.faults.add(Fault("revoke", path=f"GET {QUEUES}"))
    assert "analytics:conversationDetail:view" in refusal(await guest.query(), 403, "missing.permissions")["message"]
    refusal(await guest.get(QUEUES), 401, "bad.credentials")
    await guest.sign_in()
    assert (await guest.get(QUEUES)).status_code == 200


async def test_things_happen_at_their_moment(guest: Guest) -> None:
    """Rows are hidden and come back, totals begin to err, tokens end: each when the organisation's clock gets there."""
    simulator, everything = guest.simulator, await guest.ids()
    conversation_id = sorted(everything)[0]
    elapsed = (simulator.now() - START).total_seconds()
    simulator.faults.add(Fault("hide", at=elapsed + 60, parameters={"ids": [conversation_id]}))
    simulator.faults.add(Fault("unhide", at=NOON + timedelta(seconds=120)))
    simulator.faults.add(Fault("jitter", at=elapsed + 120, parameters={"most": 3, "recent": 10 * 86_400}))
    simulator.faults.add(Fault("rate_limit", at=elapsed + 180, parameters={"allowed": 2}))
    for expected in (everything, everything - {conversation_id}, everything):
        assert await guest.ids() == expected
        simulator.clock.advance(timedelta(minutes=1))
    assert (await guest.query()).status_code == 429
    assert simulator.jitter.most == 3


async def test_a_moment_needs_no_request() -> None:
    """What the script has for a moment happens then, though nobody asks anything."""
    async with Simulator(
        seed=1, start=START, rate=0, faults=[Fault("hide", at=60.0, parameters={"share": 1.0})]
    ) as simulator:
        simulator.world.grow(START + timedelta(hours=1))
        simulator.clock.advance(timedelta(seconds=61))
        async with asyncio.timeout(10):
            while not simulator.hidden:
                await asyncio.sleep(0)
        assert simulator.hidden == {life.id for life in simulator.world.conversations}


async def test_acts_on_the_truth(guest: Guest) -> None:
    """Conversations are forgotten, rewritten at night, and a job fails, as the script says."""
    simulator = guest.simulator
    gone = sorted(await guest.ids())[0]
    simulator.faults.add(Fault("forget", path="GET *", parameters={"ids": [gone]}))
    simulator.faults.add(Fault("job_failure", path="GET *", parameters={"message": "It went wrong."}))
    await guest.get(QUEUES)
    assert gone not in await guest.ids()
    assert simulator.jobs.failing == ["It went wrong."]
    simulator.clock.advance(timedelta(hours=80))
    simulator.world._per_hour = 0
    before = simulator.truth(START, NOON)
    simulator.faults.add(Fault("rewrite", path="GET *"))
    await guest.get(QUEUES)
    assert (
        sum(before[conversation_id] != record for conversation_id, record in simulator.truth(START, NOON).items())
        > len(before) / 2
    )


async def test_the_short_way_to_an_error(guest: Guest) -> None:
    """`fail` is a list of statuses for the next requests of the API."""
    guest.simulator.fail = [503, 429]
    refusal(await guest.get(QUEUES), 503, "service.unavailable")
    assert (await guest.get(QUEUES)).headers["Retry-After"] == "1"
    assert (await guest.get(QUEUES)).status_code == 200


def test_a_script_is_read() -> None:
    """A JSON list; times as texts or as seconds, parameters beside the other keys."""
    script = load(
        json.dumps(
            [
                {"kind": "status", "path": "POST */query", "after": 3, "count": None, "status": 503, "retry_after": 2},
                {"kind": "revoke", "at": "2026-03-02T10:00:00Z"},
                {"kind": "hide", "at": 90, "share": 0.1},
                {"kind": "broken", "at": 10, "until": 20},
            ]
        )
    )
    assert [fault.kind for fault in script] == ["status", "revoke", "hide", "broken"]
    assert script[0].parameters == {"status": 503, "retry_after": 2}
    played = Script(script, START)
    assert played.next_moment() == START + timedelta(seconds=90)
    assert [fault.kind for fault in played.due(START + timedelta(hours=11))] == ["hide", "revoke"]
    assert played.due(START + timedelta(hours=12)) == []
    struck = [[fault.kind for fault in played.strike("GET /x", START + timedelta(seconds=at))] for at in (9, 10, 11)]
    assert struck == [[], ["broken"], []]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("{}", "list"),
        ("[1]", "object"),
        ('[{"kind": "x"}]', "unknown kind 'x'"),
        ('[{"kind": "status"}]', "status is missing"),
        ('[{"kind": "status", "status": "x"}]', "a number"),
        ('[{"kind": "status", "status": true}]', "a number"),
        ('[{"kind": "revoke"}]', "path or a time"),
        ('[{"kind": "revoke", "at": "soon"}]', "neither a time"),
        ('[{"kind": "revoke", "at": 1, "x": 2}]', "unknown key 'x'"),
        ('[{"kind": "broken", "after": -1}]', "after"),
        ('[{"kind": "broken", "path": 5}]', "path"),
        ('[{"kind": "forget", "at": 1, "ids": "a"}]', "list of texts"),
    ],
)
def test_a_script_that_cannot_be_played(text: str, words: str) -> None:
    """The error names what is wrong."""
    with pytest.raises(ScriptError, match=re.escape(words)):
        load(text)


def test_every_kind_is_played_and_written_down() -> None:
    """Each kind either spoils an answer or has an act; the manual has a row for each."""
    manual = (ROOT / "docs" / "simulator.md").read_text()
    for name, kind in script.KINDS.items():
        assert kind.spoils != (name in ACTS), name
        assert f"| `{name}` |" in manual, name
        assert all(f"`{parameter}`" in manual for parameter in kind.takes), name


async def test_a_script_reaches_the_live_side() -> None:
    """A fault of channels, sockets or events happens at its time; one that there is not is refused before it starts."""
    script = load('[{"kind": "live", "at": 60, "fault": "cut", "with": {"minutes": 5}}]')
    async with Simulator(rate=0, per_hour=0, faults=script) as simulator:
        before = simulator.down_until
        simulator.clock.advance(timedelta(seconds=61))
        async with asyncio.timeout(10):
            while simulator.down_until is None:
                await asyncio.sleep(0)
        assert (before, simulator.down_until > simulator.now() + timedelta(minutes=4)) == (None, True)
    for text in ('{"fault": "flood"}', '{"fault": "cut", "with": {"hours": 1}}', '{"fault": "cut", "with": [1]}'):
        with pytest.raises(ScriptError, match=r"flood|hours|object"):
            Simulator(faults=load(f'[{{"kind": "live", "at": 1, {text[1:-1]}}}]'))


# The command


@pytest.mark.process
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_serves_until_it_is_stopped(how: signal.Signals, tmp_path: Path) -> None:
    """It prints addresses and credentials as one JSON object, answers, and ends with 0."""
    (tmp_path / "faults.json").write_text('[{"kind": "status", "path": "GET /api/v2/users", "status": 502}]')
    process = await start(
        "simulate", "--json", "--days", "0.1", "--faults", "faults.json", "--rate-limit", "7", env={}, cwd=tmp_path
    )
    assert process.stdout is not None
    env = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    async with httpx.AsyncClient(base_url=env["GENESYSCLOUD_API_URL"]) as http:
        auth = (env["GENESYSCLOUD_OAUTHCLIENT_ID"], env["GENESYSCLOUD_OAUTHCLIENT_SECRET"])
        token = (await http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=auth)).json()[
            "access_token"
        ]
        http.headers["Authorization"] = f"Bearer {token}"
        assert (await http.get("/api/v2/users")).status_code == 502
        assert (await http.get(QUEUES)).headers["inin-ratelimit-allowed"] == "7"
        now = datetime.now(UTC)
        body = {"interval": f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}/{now:%Y-%m-%dT%H:%M:%SZ}"}
        assert (await http.post(f"{DETAILS}/query", json=body)).json()["totalHits"] > 100
    process.send_signal(how)
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--faults", "absent.json"], 2, "absent.json"),
        (["--per-hour", "-1"], 2, "per-hour"),
        (["--reading", "both"], 2, "reading"),
    ],
)
async def test_bad_input_is_one_line(words: list[str], status: int, message: str, tmp_path: Path) -> None:
    """No traceback, and the option or the file is named."""
    ran = await rollbook("simulate", *words, env={}, cwd=tmp_path)
    assert ran.status == status
    assert message in ran.err


def test_a_wrong_reading_is_refused() -> None:
    """A misspelt reading is an error at once."""
    with pytest.raises(ValueError, match="overlap"):
        Simulator(reading="both")


def test_other_modules_may_add_kinds() -> None:
    """A kind that is registered can be used in scripts."""
    script.register(script.Kind("test_only", "nothing", {"word": "text!"}))
    try:
        assert load('[{"kind": "test_only", "at": 1, "word": "x"}]')[0].parameters == {"word": "x"}
    finally:
        del script.KINDS["test_only"]


async def test_an_organisation_that_has_ended_is_forgotten() -> None:
    """A suite that starts many organisations keeps none of them: the server's library caches whom a request went to."""
    async with Simulator() as organisation, httpx.AsyncClient() as client:
        assert (await client.get(f"{organisation.api_url}/api/v2/organizations/me")).status_code == 401
        left = weakref.ref(organisation)
    del organisation
    gc.collect()
    assert left() is None
