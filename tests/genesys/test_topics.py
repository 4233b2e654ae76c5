"""Topic names: templates, ids, combinations."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys import topics

ID = "7c1f0d6e-52f1-4c1b-9a6c-2b8f1f4f9d21"
OTHER = "a1b2c3d4-1111-4222-8333-944445555666"


@pytest.mark.parametrize(
    ("topic", "template"),
    [
        (f"v2.routing.queues.{ID}.conversations", "v2.routing.queues.{id}.conversations"),
        (f"v2.routing.queues.{ID}.conversations.calls", "v2.routing.queues.{id}.conversations.calls"),
        ("v2.routing.queues.q1.conversations", "v2.routing.queues.{id}.conversations"),
        (f"v2.users.{ID}.conversations.{OTHER}.recordings", "v2.users.{id}.conversations.{id}.recordings"),
        (f"v2.detail.events.conversation.{ID}.customer.end", "v2.detail.events.conversation.{id}.customer.end"),
        (f"v2.users.{ID}?presence&station", "v2.users.{id}?presence&station"),
        (f"v2.audits.entitytype.{ID}.entityid.{OTHER}", "v2.audits.entitytype.{id}.entityid.{id}"),
        ("v2.system.socket_closing", "v2.system.socket_closing"),
        ("v2.system.no_longer_subscribed.streaming-0-abc", "v2.system.no_longer_subscribed.{id}"),
        (f"v2.analytics.conversation.{ID}.metrics", "v2.analytics.conversation.{id}.metrics"),
        ("v2.quality.evaluations", "v2.quality.evaluations"),
        ("", ""),
    ],
)
def test_a_template_has_its_ids_as_a_placeholder(topic: str, template: str) -> None:
    """Whatever the ids look like, if they stand where an id stands."""
    assert topics.template_of(topic) == template
    assert topics.template_of(template) == template


@pytest.mark.parametrize(
    ("topic", "conversation_id"),
    [
        (f"v2.detail.events.conversation.{ID}.acd.start", ID),
        (f"v2.conversations.{ID}.transcription", ID),
        (f"v2.analytics.conversation.{ID}.metrics", ID),
        (f"v2.speechandtextanalytics.conversation.{ID}.sentiment", ID),
        (f"v2.Detail.Events.Conversation.{ID}.acw", ID),
        (f"v2.routing.queues.{ID}.conversations", None),
        (f"v2.users.{ID}.conversations", None),
        ("v2.detail.events.conversation.{id}.acw", None),
        (f"v2.detail.events.agent.{ID}.state", None),
        ("", None),
    ],
)
def test_the_conversation_that_a_topic_names(topic: str, conversation_id: str | None) -> None:
    """Topics of queues and users name none."""
    assert topics.conversation_id_of(topic) == conversation_id


def test_detail_topics_are_two_and_stand_for_all_members() -> None:
    """The sixteen members of a conversation fit into two topics of at most 200 characters."""
    combined = topics.detail_topics(ID)
    assert len(combined) == 2
    assert all(len(topic) <= 200 for topic in combined)
    expanded = [part for topic in combined for part in topics.expand(topic)]
    assert sorted(expanded) == sorted(
        f"v2.detail.events.conversation.{ID}.{member}" for member in topics.DETAIL_MEMBERS
    )
    assert {topics.detail_member(part) for part in expanded} == set(topics.DETAIL_MEMBERS)


@given(st.lists(st.from_regex(r"[a-z]{1,60}(\.[a-z]{1,60})?", fullmatch=True), unique=True))
def test_combined_topics_expand_to_what_they_were_made_of(suffixes: list[str]) -> None:
    """Nothing is lost, nothing repeated, the order kept, and no combination longer than the limit."""
    combined = topics.combine(f"v2.users.{ID}", suffixes)
    assert [part for topic in combined for part in topics.expand(topic)] == [
        f"v2.users.{ID}.{suffix}" for suffix in suffixes
    ]
    assert all(len(topic) <= topics.LONGEST or "?" not in topic for topic in combined)


def test_a_plain_topic_stands_for_itself() -> None:
    """Only a question mark makes a combination."""
    assert topics.expand("v2.users.x.presence") == ["v2.users.x.presence"]
    assert topics.combine("v2.users.x", ["presence"]) == ["v2.users.x.presence"]
    assert topics.combine("v2.users.x", []) == []


def test_topics_are_made_for_each_queue_and_user() -> None:
    """Concrete topics stay, repeated ones come once, and templates of other ids give none."""
    wanted = [
        topics.QUEUE_CONVERSATIONS,
        topics.USER_CONVERSATIONS,
        "v2.quality.evaluations",
        topics.QUEUE_CONVERSATIONS,
    ]
    made = topics.topics_for([*wanted, "v2.flows.{id}"], queues=["q1", "q2"], users=["u1"])
    assert made == [
        "v2.routing.queues.q1.conversations",
        "v2.routing.queues.q2.conversations",
        "v2.users.u1.conversations",
        "v2.quality.evaluations",
    ]


@pytest.mark.parametrize(
    ("template", "can"),
    [
        (topics.QUEUE_CONVERSATIONS, True),
        (topics.USER_CONVERSATIONS, True),
        ("v2.quality.evaluations", True),
        ("v2.analytics.queues.{id}.observations", True),
        ("v2.detail.events.conversation.{id}.acw", False),
        ("v2.users.{id}.conversations.{id}.recordings", False),
        ("v2.flows.{id}", False),
        ("queues", False),
        ("", False),
    ],
)
def test_which_templates_can_be_subscribed(template: str, can: bool) -> None:
    """Those whose one id is a queue's or a user's, and those without any."""
    assert topics.subscribable(template) is can


@pytest.mark.parametrize(
    ("topic", "media"),
    [
        (f"v2.routing.queues.{ID}.conversations", ""),
        (f"v2.users.{ID}.conversations", ""),
        (f"v2.routing.queues.{ID}.conversations.calls", "voice"),
        ("v2.users.u.conversations.cobrowseSessions", "cobrowse"),
        ("v2.users.u.conversations.emails", "email"),
        ("v2.users.u.conversations.socialexpressions", ""),
        ("v2.users.u.conversations.summaries", None),
        ("v2.users.u.conversationsummary", None),
        (f"v2.conversations.{ID}.transcription", None),
    ],
)
def test_which_topics_carry_snapshots(topic: str, media: str | None) -> None:
    """Those of queues and users, of all media or of one, whose name in the details is answered."""
    assert topics.snapshot_media(topic) == media


@given(st.text(max_size=60))
def test_any_text_is_taken_for_a_topic(text: str) -> None:
    """The grammar refuses nothing; it only knows nothing of it."""
    assert isinstance(topics.template_of(text), str)
    assert topics.conversation_id_of(text) is None or text.startswith(("v2.", "V2."))
    topics.snapshot_media(text)
    topics.detail_member(text)
    assert not re.search(r"\.\.", ".".join(topics.expand("v2.a")))
