"""What Datasette's pages say of a store: a line, facets and an order for each table, and queries for what people ask.

Data only; the SQL is run by Datasette, each with a limit of time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

Facet = str | dict[str, str]


class TablePage(NamedTuple):
    """A table's page. newest: the column by which the newest row comes first."""

    description: str
    facets: tuple[Facet, ...] = ()
    newest: str | None = None


class Query(NamedTuple):
    """A query with a page of its own. Its parameters stand in it as `:name`."""

    title: str
    sql: str
    description: str = ""


# A view of queues, agents or quality has no order here: SQLite would make all of its rows to show the newest.
PAGES: Final[Mapping[str, TablePage]] = {
    "conversations": TablePage(
        "Every conversation, a row each.",
        ("originating_direction", {"array": "media_types"}, "provenance", "followed"),
        "conversation_start",
    ),
    "events": TablePage("Notifications as they came; a packed body is shown as its text.", ("source",), "event_id"),
    "participants": TablePage("Who took part, from the details.", ("purpose",)),
    "sessions": TablePage("The legs of a participant, one for each medium and turn.", ("media_type", "direction")),
    "segments": TablePage("What happened in a leg, one after another.", ("segment_type", "disconnect_type")),
    "metrics": TablePage("Metrics of a leg: t… are milliseconds, n… are counts.", ("name",)),
    "media_endpoint_stats": TablePage("How well a leg could be heard: MOS, R factor, packets."),
    "participant_attributes": TablePage("Attributes, which only asynchronous jobs answer.", ("name",)),
    "flows": TablePage("Architect flows that a leg went through.", ("flow_name", "exit_reason")),
    "flow_outcomes": TablePage("Outcomes of these flows.", ("flow_outcome_value",)),
    "evaluations": TablePage("Evaluations of conversations.", ("evaluation_status",)),
    "surveys": TablePage("Surveys after conversations.", ("survey_status",)),
    "resolutions": TablePage("Whether another contact was avoided."),
    "conversation_versions": TablePage("What details were before they were rewritten.", (), "replaced_at"),
    "windows": TablePage("The ledger: how completely each stretch of time is known.", ("verdict", "reading"), "start"),
    "window_runs": TablePage("Every run over a window.", ("verdict", "via", "command"), "started_at"),
    "gaps": TablePage("What capture missed or had wrong, and why.", ("kind", "cause"), "detected_at"),
    "coverage": TablePage("When capture was really listening.", ("source", "end_reason"), "started_at"),
    "readiness": TablePage("Until when everything is proven."),
    "dead_letters": TablePage("What could not be understood.", ("source", "error"), "received_at"),
    "rejected_topics": TablePage("Topics that the platform refused.", ("reason",), "rejected_at"),
    "names": TablePage("Names of ids, with the time for which each counts.", ("kind", "state")),
    "names_now": TablePage("Names of ids as they are now.", ("kind", "state")),
    "name_changes": TablePage("What was renamed, and between which two listings.", ("kind",), "changed_before"),
    "unnamed_ids": TablePage("Ids that have no name.", ("kind",)),
    "queue_intervals": TablePage(
        "Queues by medium and half hour, as the platform counts them; the verdict says how complete that is.",
        ("queue_name", "media_type", "verdict"),
    ),
    "queue_legs": TablePage("Each way of a conversation through a queue.", ("queue_name", "media_type", "outcome")),
    "agent_days": TablePage("Agents by day and medium.", ("user_name", "media_type", "verdict")),
    "agent_legs": TablePage("Each leg of an agent.", ("user_name", "queue_name", "media_type")),
    "wrapups": TablePage("Each wrap-up.", ("wrap_up_name", "queue_name")),
    "mos_legs": TablePage("Call quality by leg.", ("purpose", "codec", "site_name", "provider")),
    "mos_calls": TablePage("Each call with its lowest leg.", ("purpose", "codec", "site_name", "provider")),
    "erasures": TablePage("What was erased on request: when, by whom, for which ticket; nothing of the person."),
    "organization": TablePage("The organisation that the store belongs to."),
}

_OF_DAY: Final = ":day is a date such as 2026-03-02, in UTC."

QUERIES: Final[Mapping[str, Query]] = {
    "complete_until": Query(
        "Until when is everything proven?", "SELECT since, complete_until, settled_until FROM readiness"
    ),
    "windows_to_look_at": Query(
        "Windows that are not complete",
        'SELECT start, "end", verdict, attempts, reason, next_try_at FROM windows'
        " WHERE verdict NOT IN ('complete', 'settled') ORDER BY start DESC",
    ),
    "gaps_by_cause": Query(
        "What was missed, and why",
        "SELECT kind, cause, count(*) AS gaps, count(filled_at) AS filled, min(window_start) AS first_window,"
        " max(window_start) AS last_window FROM gaps GROUP BY kind, cause ORDER BY gaps DESC",
    ),
    "queues_of_a_day": Query(
        "Queues of a day",
        "SELECT queue_id, media_type, sum(offered) AS offered, sum(answered) AS answered,"
        " sum(abandoned) AS abandoned, sum(over_sla) AS over_sla, round(sum(answer_time) / 1000.0 / sum(answered), 1)"
        " AS asa_seconds, round(sum(handle) / 1000.0 / sum(handled), 1) AS aht_seconds FROM queue_intervals"
        " WHERE interval_start >= :day AND interval_start < date(:day, '+1 day')"
        " GROUP BY queue_id, media_type ORDER BY offered DESC",
        _OF_DAY,
    ),
    "agents_of_a_day": Query(
        "Agents of a day",
        "SELECT user_id, media_type, answered, not_responding, transferred, round(talk / 1000.0) AS talk_seconds,"
        " round(acw / 1000.0) AS acw_seconds, verdict FROM agent_days WHERE day = :day ORDER BY answered DESC",
        ":day is a date such as 2026-03-02, in the time zone of [views].",
    ),
    "worst_calls": Query(
        "Legs that could be heard worst",
        "SELECT conversation_id, event_time, purpose, user_id, queue_id, edge_id, site_name, codec, min_mos,"
        " min_r_factor, late_share FROM mos_legs"
        " WHERE conversation_start >= :day AND conversation_start < date(:day, '+1 day')"
        " ORDER BY min_mos LIMIT 100",
        _OF_DAY,
    ),
    "conversation": Query(
        "A conversation's segments",
        "SELECT segment_start, segment_end, segment_type, queue_id, disconnect_type, wrap_up_code,"
        " (SELECT user_id FROM participants p WHERE p.conversation_id = s.conversation_id"
        " AND p.position = s.participant_position) AS user_id, participant_id FROM segments s"
        " WHERE conversation_id = :conversation_id ORDER BY segment_start, participant_position, session_position",
    ),
    "events_of_a_conversation": Query(
        "A conversation's notifications",
        "SELECT received_at, event_time, source, topic, rollbook_text(body) AS body FROM events"
        " WHERE conversation_id = :conversation_id ORDER BY received_at, event_id",
    ),
    "details_of_a_conversation": Query(
        "A conversation's details, as the platform gave them",
        "SELECT read_at, rollbook_text(details) AS details FROM conversations WHERE conversation_id = :conversation_id",
    ),
    "listening": Query(
        "When capture listened, and why it stopped",
        "SELECT source, scope, started_at, ended_at, end_reason, alive_at FROM coverage ORDER BY started_at DESC",
    ),
}


def metadata(database: str, title: str, tables: Iterable[str]) -> dict[str, Any]:
    """The metadata of Datasette for a store. database: its name there. tables: all of it; inner ones are hidden."""
    inner: dict[str, dict[str, Any]] = {name: {"hidden": True} for name in tables if name not in PAGES}
    pages = {
        name: {
            "description": page.description,
            **({"facets": list(page.facets)} if page.facets else {}),
            **({"sort_desc": page.newest} if page.newest else {}),
        }
        for name, page in PAGES.items()
    }
    queries = {
        name: {"hide_sql": True} | {key: value for key, value in query._asdict().items() if value}
        for name, query in QUERIES.items()
    }
    about = "Times are UTC, durations milliseconds. Ids are shown by the names that they have now."
    return {
        "title": title,
        "description": about,
        "databases": {database: {"tables": pages | inner, "queries": queries}},
    }
