"""Settings: read in one place, from flags, the environment, a TOML file and defaults, in that order.

It knows every key there is. An unknown one is an error that names it. Nothing is looked up anywhere else.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from rollbook.genesys import topics
from rollbook.genesys.addresses import Hidden, checked, is_loopback
from rollbook.genesys.errors import SettingsError
from rollbook.genesys.privacy import policy as privacy_policy
from rollbook.genesys.program.named_secrets import is_reference
from rollbook.genesys.regions import hosts
from rollbook.genesys.times import from_text, parse_duration, to_text
from rollbook.genesys.topics import DETAIL_TEMPLATES


class Secret:
    """A text that shows itself nowhere: `str` and `repr` say `***`, and it cannot be formatted by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one call that needs it."""
        return self._value

    def hide(self, text: str) -> str:
        """A text without it, as somebody else may have written it there."""
        return text.replace(self._value, "***") if self._value else text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)


# The kinds of alerts: the words of `rollbook/store/vocabulary.py`, which is a floor above; a test compares them.
ALERTS: Final = ("window.failed", "window.settled", "gap.found", "capture.deaf")


@dataclass(frozen=True, slots=True)
class DailyBackup:
    """The daemon's daily backup. to: a folder; keep: how many stay in it; at: the time of day, UTC."""

    to: Path
    keep: int
    at: time

    def __str__(self) -> str:
        return f"to {self.to} at {self.at:%H:%M}, {self.keep} kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Addresses have no slash at their end; `api_url` is None where no region is set."""

    region: str | None = None
    api_url: str | None = None
    login_url: str | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    access_token: Secret | None = None
    largest_answer: int = 64 * 1024 * 1024
    store_path: Path = Path("rollbook.db")
    journal: Literal["wal", "delete"] | None = None
    pack: Literal["none", "events", "all"] = "events"
    backup: DailyBackup | None = None
    topics: tuple[str, ...] = (topics.QUEUE_CONVERSATIONS,)
    users: bool = False
    follow_details: bool = False
    health: str | None = None
    websocket: bool = True
    sqs_queue_url: str | None = None
    sqs_topics: tuple[str, ...] = DETAIL_TEMPLATES
    sqs_receivers: int = 4
    width: timedelta = timedelta(minutes=30)
    lag: timedelta = timedelta(minutes=10)
    settle_after: timedelta = timedelta(days=5)
    stuck_after: timedelta = timedelta(days=30)
    ended_only: bool = False
    filter: Mapping[str, Any] | None = None
    since: datetime | None = None
    time_zone: str = "UTC"
    view_reach: timedelta = timedelta(days=1)
    include_flow_outs: bool = False
    include_short_abandons: bool = True
    include_abandons: bool = True
    short_abandon: timedelta | None = None
    answered_within: timedelta | None = None
    hook_url: Secret | None = None
    # Its words may hold a token.
    hook_command: tuple[str, ...] | None = field(default=None, repr=False)
    hook_on: tuple[str, ...] = ALERTS
    hook_deaf_after: timedelta = timedelta(minutes=5)
    hook_secret: Secret | None = None
    privacy: privacy_policy.Policy = privacy_policy.KEEP_ALL
    privacy_key: Secret | None = None
    page_enabled: bool = True
    page_token: Secret | None = None
    page_personal: bool = False
    page_hosts: tuple[str, ...] = ()
    retain_details: timedelta | None = None
    retain_events: timedelta | None = None
    retain_versions: timedelta | None = None
    retain_attributes: timedelta | None = None
    retain_dead_letters: timedelta | None = None
    retain_gone: timedelta | None = timedelta(days=30)
    config_path: Path | None = None
    explicit: frozenset[str] = field(default=frozenset())

    def require_platform(self) -> None:
        """Raise SettingsError, naming what is missing, unless there are hosts and credentials."""
        if self.api_url is None:
            raise SettingsError("set GENESYSCLOUD_REGION (e.g. us-east-1, or a domain such as mypurecloud.com)")
        if self.access_token is None and (self.client_id is None or self.client_secret is None):
            raise SettingsError(
                "set GENESYSCLOUD_OAUTHCLIENT_ID and GENESYSCLOUD_OAUTHCLIENT_SECRET (an OAuth client of the grant"
                " type Client Credentials), or GENESYSCLOUD_ACCESS_TOKEN"
            )

    def require_source(self) -> None:
        """Raise SettingsError if a daemon would have nothing to listen to."""
        if not self.websocket and self.sqs_queue_url is None:
            raise SettingsError(
                "there is nothing to listen to: [realtime] websocket is false, and [realtime.sqs] has no queue_url"
            )

    def require_one_hook(self) -> None:
        """Raise SettingsError if there are two receivers of alerts: which of them has taken an alert is not kept."""
        if self.hook_url is not None and self.hook_command is not None:
            raise SettingsError("[hook] has a url and a command; set one of them (a command can call both)")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text")
    return value.strip()


def _secret(value: Any) -> Secret:
    # It travels in a header, which takes no line break (of a copied line) and no other alphabet.
    text = _text(value).strip()
    if is_reference(text):
        return Secret(text)
    if not text.isascii() or not text.isprintable() or not text:
        raise ValueError("has characters that no token or secret has; copy it again")
    return Secret(text)


def _token(value: Any) -> Secret:
    found = _secret(value)
    if not is_reference(found.reveal()) and len(found.reveal()) < 16:
        raise ValueError("must have 16 characters or more: whoever can reach the port can guess at it")
    return found


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _duration(value: Any) -> timedelta:
    return parse_duration(_text(value))


# A name of the database of time zones: America/Argentina/Buenos_Aires, Etc/GMT+5. What it does not have as a file is
# looked for as a package, a level for each piece, and many levels end in a RecursionError.
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]{1,40}(?:/[A-Za-z0-9_+-]{1,40}){0,4}")


def _time_zone(value: Any) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    name = _text(value)
    try:
        if not _ZONE.fullmatch(name):
            raise ZoneInfoNotFoundError
        # UTC needs no database of time zones, which a small machine may lack.
        return name if name == "UTC" else ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is no time zone that this machine knows; write one such as Europe/Berlin") from None


def _reach(value: Any) -> timedelta:
    reach = _duration(value)
    if reach > timedelta(days=45):
        raise ValueError("must be at most P45D")
    return reach


def _width(value: Any) -> timedelta:
    width = _duration(value)
    if not timedelta(seconds=1) <= width <= timedelta(days=7):
        raise ValueError("must lie between PT1S and P7D (the longest interval that the platform takes)")
    return width


def _moment(value: Any) -> datetime:
    return from_text(value.isoformat() if isinstance(value, datetime) else str(value))


def _topics(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(topic, str) for topic in value):
        raise ValueError(f'must be a list of topics such as ["{topics.QUEUE_CONVERSATIONS}"]')
    for topic in value:
        if not topics.subscribable(topic):
            about = " (follow_details = true does that)" if topic.startswith("v2.detail.events.conversation.") else ""
            raise ValueError(
                f"{topic!r} cannot be subscribed: a topic begins with v2., and {{id}} stands for queues or users{about}"
            )
    return tuple(dict.fromkeys(value))


def _templates(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(
        isinstance(template, str) and template.startswith("v2.") for template in value
    ):
        raise ValueError(f'must be a list of what its rule lets through, such as ["{DETAIL_TEMPLATES[0]}"]')
    return tuple(dict.fromkeys(value))


def _number(value: Any, noun: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"must be {noun} between {least} and {most}")
    return value


def _largest_answer(value: Any) -> int:
    with contextlib.suppress(ValueError):
        value = int(value) if isinstance(value, str) else value
    return _number(value, "a number of bytes", 1_000_000, 1_000_000_000)


def _journal(value: Any) -> str:
    if value not in ("wal", "delete"):
        raise ValueError('must be "wal" or "delete"')
    return str(value)


def _pack(value: Any) -> str:
    if value not in ("none", "events", "all"):
        raise ValueError('must be "none", "events" or "all"')
    return str(value)


def _path(value: Any) -> Path:
    return Path(_text(value)).expanduser()


_BACKUP_EXAMPLE: Final = '"/var/backups/rollbook", or { to = "/var/backups/rollbook", keep = 7, at = "02:00" }'


def _backup(value: Any) -> DailyBackup:
    if isinstance(value, str):
        value = {"to": value}
    if not isinstance(value, dict) or "to" not in value:
        raise ValueError(f"must be a folder: {_BACKUP_EXAMPLE}")
    for name in value:
        if name not in ("to", "keep", "at"):
            raise ValueError(f"knows to, keep and at, not {name!r}")
    keep, at = value.get("keep", 7), value.get("at", "02:00")
    if not isinstance(keep, int) or isinstance(keep, bool) or not 1 <= keep <= 1_000:
        raise ValueError("keep must be a number between 1 and 1000")
    if isinstance(at, str):
        try:
            at = time.fromisoformat(at)
        except ValueError:
            at = None
    if not isinstance(at, time) or at.tzinfo is not None:
        raise ValueError('at must be a time of day, in UTC, such as "02:00"')
    return DailyBackup(_path(value["to"]), keep, at)


FILTER_KEYS: Final = ("conversationFilters", "segmentFilters")


def check_filter(value: Any) -> dict[str, Any]:
    """A filter as the API takes it. Raises ValueError."""
    if not isinstance(value, dict) or not value:
        raise ValueError("must be an object with conversationFilters or segmentFilters")
    for name, members in value.items():
        if name not in FILTER_KEYS:
            raise ValueError(f"knows conversationFilters and segmentFilters, not {name!r}")
        if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
            raise ValueError(f"{name} must be a list of objects")
    return value


def personal_filter(filter: Any, policy: privacy_policy.Policy) -> str:
    """What is wrong with a filter that names people's data under a policy; "" where nothing is.

    The ledger keeps the filter of a window in clear: what else would tell it from another one?
    """
    if not (found := privacy_policy.withheld_from(filter, policy)):
        return ""
    return (
        f"gives a value of {', '.join(found)}, which [privacy] fields does not let the store keep, and the ledger"
        ' keeps the filter of each window: leave it out of the filter, or say "keep" for this field'
    )


def _filter(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        import json

        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"is no JSON ({error})") from None
    return check_filter(value)


def _address(value: Any, example: str = "https://api.mypurecloud.com") -> str:
    text = _text(value).rstrip("/")
    checked(text, example=example)
    return text


def _hook_url(value: Any) -> Secret:
    text = _text(value)
    try:
        parts = urlsplit(text)
        known = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be an address such as https://example.org/alerts")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ValueError("must begin with https:// (http:// is for this machine alone)")
    return Secret(text)


def _command(value: Any) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) and "\0" not in word for word in words):
        raise ValueError('must be a command and its words, such as ["/usr/local/bin/page-me", "--team", "calls"]')
    if not words or not words[0].strip():
        raise ValueError("must name a command")
    return tuple(words)


def _alerts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(kind in ALERTS for kind in value):
        raise ValueError(f"must be a list of {', '.join(ALERTS)}")
    return tuple(dict.fromkeys(value))


def _retention(value: Any) -> timedelta | None:
    if isinstance(value, str) and value.strip().lower() == "kept":
        return None
    kept = _duration(value)
    if kept < timedelta(days=1):
        raise ValueError('must be P1D or more, or "kept"')
    return kept


def _deaf_after(value: Any) -> timedelta:
    after = _duration(value)
    if after < timedelta(minutes=1):
        raise ValueError("must be PT1M or more: a socket that is lost is mostly back within seconds")
    return after


# As a request's Host has it, without the port and the brackets.
_HOST_NAME: Final = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,252}|[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*", re.IGNORECASE | re.ASCII)


def _host_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(
        isinstance(name, str) and _HOST_NAME.fullmatch(name.strip()) for name in value
    ):
        raise ValueError('must be a list of names without a port, such as ["rollbook.example.org"]')
    return tuple(name.strip().lower() for name in value)


_QUEUE: Final = "https://sqs.eu-central-1.amazonaws.com/123456789012/rollbook-events"


# (section, key) of the settings file → (field, how it is read)
KEYS: Final[Mapping[tuple[str, str], tuple[str, Callable[[Any], Any]]]] = {
    ("genesys", "region"): ("region", _text),
    ("genesys", "api_url"): ("api_url", _address),
    ("genesys", "login_url"): ("login_url", _address),
    ("genesys", "largest_answer"): ("largest_answer", _largest_answer),
    ("store", "path"): ("store_path", _path),
    ("store", "journal"): ("journal", _journal),
    ("store", "pack"): ("pack", _pack),
    ("store", "backup"): ("backup", _backup),
    ("realtime", "websocket"): ("websocket", _flag),
    ("realtime", "topics"): ("topics", _topics),
    ("realtime", "users"): ("users", _flag),
    ("realtime", "follow_details"): ("follow_details", _flag),
    ("realtime", "health"): ("health", _text),
    ("realtime.sqs", "queue_url"): ("sqs_queue_url", partial(_address, example=_QUEUE)),
    ("realtime.sqs", "topics"): ("sqs_topics", _templates),
    ("realtime.sqs", "receivers"): ("sqs_receivers", partial(_number, noun="a number", least=1, most=64)),
    ("reconcile", "width"): ("width", _width),
    ("reconcile", "lag"): ("lag", _duration),
    ("reconcile", "settle_after"): ("settle_after", _duration),
    ("reconcile", "stuck_after"): ("stuck_after", _duration),
    ("reconcile", "ended_only"): ("ended_only", _flag),
    ("reconcile", "filter"): ("filter", _filter),
    ("reconcile", "since"): ("since", _moment),
    ("views", "time_zone"): ("time_zone", _time_zone),
    ("views", "reach"): ("view_reach", _reach),
    ("views", "include_flow_outs"): ("include_flow_outs", _flag),
    ("views", "include_short_abandons"): ("include_short_abandons", _flag),
    ("views", "include_abandons"): ("include_abandons", _flag),
    ("views", "short_abandon"): ("short_abandon", _duration),
    ("views", "answered_within"): ("answered_within", _duration),
    ("privacy", "fields"): ("privacy", privacy_policy.parse),
    ("retention", "details"): ("retain_details", _retention),
    ("retention", "events"): ("retain_events", _retention),
    ("retention", "versions"): ("retain_versions", _retention),
    ("retention", "attributes"): ("retain_attributes", _retention),
    ("retention", "dead_letters"): ("retain_dead_letters", _retention),
    ("retention", "gone"): ("retain_gone", _retention),
    ("hook", "url"): ("hook_url", _hook_url),
    ("hook", "command"): ("hook_command", _command),
    ("hook", "on"): ("hook_on", _alerts),
    ("hook", "deaf_after"): ("hook_deaf_after", _deaf_after),
    ("page", "enabled"): ("page_enabled", _flag),
    ("page", "token"): ("page_token", _token),
    ("page", "personal"): ("page_personal", _flag),
    ("page", "hosts"): ("page_hosts", _host_names),
}
ENVIRONMENT: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "GENESYSCLOUD_REGION": ("region", _text),
    "GENESYSCLOUD_API_URL": ("api_url", _address),
    "GENESYSCLOUD_LOGIN_URL": ("login_url", _address),
    "GENESYSCLOUD_OAUTHCLIENT_ID": ("client_id", _text),
    "GENESYSCLOUD_OAUTHCLIENT_SECRET": ("client_secret", _secret),
    "GENESYSCLOUD_ACCESS_TOKEN": ("access_token", _secret),
    "ROLLBOOK_LARGEST_ANSWER": ("largest_answer", _largest_answer),
    "ROLLBOOK_DB": ("store_path", _path),
    "ROLLBOOK_JOURNAL": ("journal", _journal),
    "ROLLBOOK_PACK": ("pack", _pack),
    "ROLLBOOK_BACKUP": ("backup", _backup),
    "ROLLBOOK_HOOK_URL": ("hook_url", _hook_url),
    "ROLLBOOK_HOOK_SECRET": ("hook_secret", _secret),
    "ROLLBOOK_PRIVACY_FIELDS": ("privacy", privacy_policy.parse),
    "ROLLBOOK_PRIVACY_KEY": ("privacy_key", _secret),
    "ROLLBOOK_PAGE_TOKEN": ("page_token", _token),
}


class KeyDescription(NamedTuple):
    """A setting in words, for docs/settings.md. unset: what counts where nothing sets it; None: the default."""

    kind: str
    meaning: str
    unset: str | None = None


# field → the one place that says in words what it sets. A test holds it to the keys and variables above.
ABOUT: Final[Mapping[str, KeyDescription]] = {
    "region": KeyDescription(
        "text",
        "The region of your organisation, such as eu-central-1, or its domain, such as mypurecloud.de.",
        "needed, unless the address of the API is set",
    ),
    "api_url": KeyDescription(
        "address", "The address of the API, for a proxy or a simulator.", "default: the region's"
    ),
    "login_url": KeyDescription(
        "address",
        "The address of the sign-in, for a proxy or a simulator.",
        "default: the region's, or derived from `api_url`",
    ),
    "client_id": KeyDescription(
        "text", "The id of the OAuth client, whose grant type is Client Credentials.", "needed"
    ),
    "client_secret": KeyDescription(
        "text",
        "The secret of the OAuth client, or where it is: secretsmanager:NAME, ssm:NAME, file:PATH or"
        " credential:NAME, which systemd has loaded (NAME#KEY is one member of a JSON object).",
        "needed",
    ),
    "access_token": KeyDescription(
        "text",
        "A token to use in place of the client's id and secret; it is not renewed when it ends.",
        "default: none",
    ),
    "largest_answer": KeyDescription(
        "number",
        "The size in bytes, unpacked, beyond which an answer of the API is given up; between 1000000 and 1000000000.",
    ),
    "store_path": KeyDescription("path", "The file of the store."),
    "journal": KeyDescription(
        "text",
        'The journal of the file: "wal", or "delete" for a network file system and a single writer.',
        "default: the file system decides",
    ),
    "pack": KeyDescription(
        "text",
        'The bodies that are packed when they are written: "none", "events", or "all", which is details too. All are'
        " read, and `rollbook pack` brings those that are stored in line (docs/packing.md).",
    ),
    "backup": KeyDescription(
        "text, or table",
        "A folder into which the daemon copies the store once a day; or a table with to (the folder), keep (how many"
        ' copies stay, 7 without it) and at (the time of day in UTC, "02:00" without it).',
        "default: no backups",
    ),
    "websocket": KeyDescription(
        "true or false", "Listen by WebSocket; false listens to the queue of [realtime.sqs] alone."
    ),
    "topics": KeyDescription(
        "list of texts", "The templates of the topics to listen to; {id} stands for every queue, or every user."
    ),
    "users": KeyDescription("true or false", "Listen also to v2.users.{id}.conversations for every user."),
    "follow_details": KeyDescription(
        "true or false", "Subscribe also the detail events of each conversation that is heard, until it ends."
    ),
    "health": KeyDescription(
        "text",
        "HOST:PORT, or unix:PATH for a proxy, at which the daemon answers /healthz, /metrics and /ready and shows the"
        " page (docs/page.md): to this machine, and beyond it to whoever brings the token ([page] token).",
        "default: off",
    ),
    "sqs_queue_url": KeyDescription(
        "address", "The SQS queue that brings the events of EventBridge to the daemon.", "default: none"
    ),
    "sqs_topics": KeyDescription(
        "list of texts", "The detail events that the queue's rule lets through, which is what coverage then claims."
    ),
    "sqs_receivers": KeyDescription(
        "number", "How many long polls wait for messages of the queue at a time, from 1 to 64."
    ),
    "width": KeyDescription("duration", "The length of a window, from PT1S to P7D."),
    "lag": KeyDescription("duration", "The time after the end of a window at which it is read."),
    "settle_after": KeyDescription(
        "duration",
        "The time after which a window that is complete is read once more, because the platform reprocesses at night.",
    ),
    "stuck_after": KeyDescription(
        "duration",
        "The time after its start at which a conversation without an end is called stuck, and not waited for any more.",
    ),
    "ended_only": KeyDescription(
        "true or false", "Ask only for conversations that have ended (the filter conversationEnd exists)."
    ),
    "filter": KeyDescription(
        "table, or JSON text",
        "Read only what this filter lets through: conversationFilters and segmentFilters, as the API takes them.",
        "default: none, and everything is read",
    ),
    "since": KeyDescription(
        "time", "The start of the first window that is read.", "default: when capture listened first"
    ),
    "time_zone": KeyDescription(
        "text",
        "The time zone of business days in `agent_days` and reports, such as Europe/Berlin. The store keeps what is set"
        " in this section for its views (docs/views.md), until something else is set.",
    ),
    "view_reach": KeyDescription(
        "duration",
        "How long before a half hour, or a day, what it counts can have begun: the verdict of its row is that of these"
        " windows too. At most P45D.",
    ),
    "include_flow_outs": KeyDescription(
        "true or false", "The service level counts flow-outs as offered: the organisation's switch of that name."
    ),
    "include_short_abandons": KeyDescription(
        "true or false", "The service level counts short abandons: the organisation's switch of that name."
    ),
    "include_abandons": KeyDescription(
        "true or false", "The service level counts abandons: the organisation's switch of that name."
    ),
    "short_abandon": KeyDescription(
        "duration",
        "An abandon that is shorter than this is a short one.",
        "default: as the platform counts (`tShortAbandon`)",
    ),
    "answered_within": KeyDescription(
        "duration",
        "What is answered later than this misses the service level, in every queue.",
        "default: as the platform counts (`nOverSla`), by each queue's own target",
    ),
    "hook_url": KeyDescription(
        "address",
        "An address that gets alerts as CloudEvents by POST, over https (docs/alerts.md). Where it holds a token, set"
        " the variable in place of the key.",
        "default: none",
    ),
    "hook_command": KeyDescription(
        "list of texts",
        "A command, with its words, that gets each alert on its standard input; it has taken it when it ends with 0.",
        "default: none",
    ),
    "hook_on": KeyDescription("list of texts", "The kinds of alerts to send."),
    "hook_deaf_after": KeyDescription(
        "duration", "The time for which nothing listens before that is an alert (capture.deaf), PT1M or more."
    ),
    "hook_secret": KeyDescription(
        "text",
        "The secret that signs alerts (HMAC-SHA256), or where it is: file:PATH, credential:NAME,"
        " secretsmanager:NAME or ssm:NAME.",
        "default: none, and nothing is signed",
    ),
    "page_enabled": KeyDescription("true or false", "Show the page on the daemon's HTTP port (docs/page.md)."),
    "page_token": KeyDescription(
        "text",
        "The token without which nobody sees the page, of 16 characters or more, or where it is: file:PATH,"
        " secretsmanager:NAME or ssm:NAME. Without one the page is shown to this machine alone.",
        "default: none",
    ),
    "page_personal": KeyDescription(
        "true or false", "Show personal fields of conversations on the page and in `rollbook show --html`; else masked."
    ),
    "page_hosts": KeyDescription(
        "list of texts",
        "The names by which the page is reached, beside this machine's own: a request by another is refused.",
    ),
    "privacy": KeyDescription(
        "table, or text",
        'What becomes of people\'s data before anything is stored: for a class of fields or a path "keep", "drop",'
        ' "shorten" or "hash"; or "strict", which drops every class (docs/privacy.md). As a variable:'
        " phone_numbers=hash, names=drop.",
        "default: everything is kept",
    ),
    "privacy_key": KeyDescription(
        "text",
        "The key of the hashes, or where it is: file:PATH, secretsmanager:NAME or ssm:NAME. It is kept outside the"
        " store: who has both can find out whether a number is in it.",
        "needed where something is hashed",
    ),
    "retain_details": KeyDescription(
        'duration, or "kept"',
        "How long details and the rows made of them are kept, from a conversation's end. Longer than reconcile reads"
        " again; the ledger stays (docs/retention.md).",
        "default: kept",
    ),
    "retain_events": KeyDescription(
        'duration, or "kept"', "How long notifications are kept, from when they came.", "default: kept"
    ),
    "retain_versions": KeyDescription(
        'duration, or "kept"', "How long earlier versions of details are kept, once replaced.", "default: kept"
    ),
    "retain_attributes": KeyDescription(
        'duration, or "kept"',
        "How long participants' attributes are kept, in details too, from a conversation's end.",
        "default: kept",
    ),
    "retain_dead_letters": KeyDescription(
        'duration, or "kept"', "How long dead letters are kept, from when they came.", "default: kept"
    ),
    "retain_gone": KeyDescription(
        'duration, or "kept"',
        "How long people's data are kept of a conversation that the platform no longer knows.",
    ),
}
# Variables that are no setting's: where the file of settings is, and what other programs define.
OTHER_VARIABLES: Final[Mapping[str, str]] = {
    "ROLLBOOK_CONFIG": "The settings file; without it, rollbook.toml in the working directory.",
    "HTTPS_PROXY": "The proxy for https.",
    "HTTP_PROXY": "The proxy for http.",
    "ALL_PROXY": "The proxy for both, where they have none of their own.",
    "NO_PROXY": "The hosts that are reached without a proxy.",
    "SSL_CERT_FILE": "A file of certificate authorities to believe in place of the usual ones.",
    "SSL_CERT_DIR": "A folder of such files.",
    "NO_COLOR": "With any text: no colour on a terminal.",
    "AWS_PROFILE": "The profile of AWS' own settings whose credentials are used for SQS, S3 and named secrets.",
    "AWS_REGION": "The region of AWS, where neither the queue's address nor the profile names one.",
    "AWS_ENDPOINT_URL": "An address in place of AWS' own, for a stand-in such as LocalStack.",
    "AWS_LAMBDA_FUNCTION_NAME": "Set by AWS Lambda: the function's name, by which its metrics are filed.",
    "CREDENTIALS_DIRECTORY": "Set by systemd: the folder of the service's credentials, which credential:NAME reads.",
    "NOTIFY_SOCKET": "Set by systemd: the socket that the daemon tells how it is.",
    "WATCHDOG_USEC": "Set by systemd: the time within which it wants a sign of life.",
    "WATCHDOG_PID": "Set by systemd: the process of which it wants them.",
}


def written(name: str) -> str:
    """A field of the settings as people write it: `[store] path`, or a variable's name."""
    keys = [f"[{section}] {key}" for (section, key), (target, _) in KEYS.items() if target == name]
    return next(iter([*keys, *(variable for variable, (target, _) in ENVIRONMENT.items() if target == name)]), name)


def load(
    *, flags: Mapping[str, Any] | None = None, env: Mapping[str, str], cwd: Path, now: datetime | None = None
) -> Settings:
    """The settings. flags: already of the fields' types, None where not given, and `config` for the file's path.
    now: what `since` must not lie after, if it is to be looked at.

    Raises SettingsError, naming the key or the variable.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    named = given.pop("config", None) or env.get("ROLLBOOK_CONFIG")
    config = _config_path(named, cwd)
    values: dict[str, Any] = _read_file(config, found=not named) if config else {}
    for name, (target, read) in ENVIRONMENT.items():
        if env.get(name):
            values[target] = _value(name, target, read, env[name])
    values |= given
    if now is not None and values.get("since", now) > now:
        raise SettingsError(
            f"[reconcile] since = {to_text(values['since'])}: lies in the future; choose an earlier time"
        )
    if values.get("privacy") and (wrong := personal_filter(values.get("filter"), values["privacy"])):
        raise SettingsError(f"[reconcile] filter {wrong}")
    explicit = frozenset(values)
    if values.get("region"):
        api_url, login_url = hosts(values["region"])
        values.setdefault("api_url", api_url)
        values.setdefault("login_url", login_url)
    if values.get("api_url") and not values.get("login_url"):
        # As the platform's own SDK derives it.
        values["login_url"] = values["api_url"].replace("//api.", "//login.", 1)
    return Settings(**values, config_path=config, explicit=explicit)


def _config_path(named: Any, cwd: Path) -> Path | None:
    if named:
        path = cwd / Path(named).expanduser()
        if not _is_file(path):
            raise SettingsError(f"there is no settings file {path}")
        return path
    default = cwd / "rollbook.toml"
    return default if _is_file(default) else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        raise SettingsError(f"{path}: this user may not look into {path.parent}") from None


def _read_file(path: Path, *, found: bool) -> dict[str, Any]:
    """The fields that a file sets. found: it lay in the working directory, and nobody has named it."""
    # Imported where they are needed: a function on AWS has no file, and starts more lightly.
    import tomllib

    from rollbook.genesys.program.trusted_files import Untrusted, read_found, read_named

    try:
        text = (read_found if found else read_named)(path).decode()
        _refuse_endless_names(path, text)
        document = tomllib.loads(text)
    except Untrusted as error:
        raise SettingsError(f"the settings file is not used: {error}") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # a number of thousands of digits is one too
        raise SettingsError(f"{path} is no TOML: {error}") from None
    except RecursionError:
        raise SettingsError(f"{path} is no TOML that can be read: it is nested too deep") from None
    values: dict[str, Any] = {}
    _section(path, "", document, values)
    return values


# More parts than any name has, and few enough: what tomllib makes of a name grows with the square of them.
_MOST_PARTS: Final = 1_000
_PART: Final = r"""(?>[\w-]+|"(?:\\.|[^"\\\n])*+"|'[^'\n]*+')[ \t]*+"""
_ENDLESS_NAME: Final = re.compile(
    rf"^[ \t]*+\[{{0,2}}+[ \t]*+(?>{_PART}\.[ \t]*+){{{_MOST_PARTS}}}", re.MULTILINE | re.ASCII
)


def _refuse_endless_names(path: Path, text: str) -> None:
    """Raise SettingsError for a name of thousands of parts (`a.a.a…`), which would take a gigabyte of memory."""
    if found := _ENDLESS_NAME.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise SettingsError(f"{path} is no TOML: line {line} has a name of more than {_MOST_PARTS} parts")


_SECTIONS: Final = tuple(dict.fromkeys(section for section, _ in KEYS))


def _section(path: Path, name: str, members: Mapping[str, Any], values: dict[str, Any]) -> None:
    for key, value in members.items():
        inner = f"{name}.{key}" if name else key
        if inner in _SECTIONS and isinstance(value, dict):
            _section(path, inner, value, values)
        elif (name, key) in KEYS:
            target, read = KEYS[name, key]
            values[target] = _value(f"{path.name}: [{name}] {key}", target, read, value)
        elif inner in _SECTIONS:
            raise SettingsError(f"{path.name}: {inner} is a section; write [{inner}] and its keys below it")
        else:
            raise SettingsError(f"{path.name}: {_unknown(name, key)}")


def _unknown(section: str, key: str) -> str:
    """The sentence about a key that nobody knows: where it belongs, what comes near it, or what there is."""
    place = f"unknown key {key!r} in [{section}]" if section else f"unknown section or key {key!r}"
    variable = written(key)
    if variable.startswith("GENESYSCLOUD_"):
        return f"{place}; it is no part of the file: set the environment variable {variable}"
    known = [other for home, other in KEYS if home == section] if section else list(_SECTIONS)
    if longer := [other for other in known if key in other.split("_")]:
        return f"{place}; did you mean {longer[0]}?"
    homes = [home for home, other in KEYS if other == key]
    if homes:
        return f"{place}; it belongs in [{homes[0]}]"
    import difflib

    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    return f"{place}; {hint}"


# Fields of which no value is shown, a wrong one neither: secrets, and what may hold a token.
_SECRET_FIELDS: Final = frozenset(
    {each.name for each in fields(Settings) if "Secret" in str(each.type)} | {"hook_command"}
)


def _value(name: str, target: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except ValueError as error:
        # A secret may stand in the place of another key of the hook, or under a name that only seems to be another's.
        hidden = target in _SECRET_FIELDS or any(word in name.upper() for word in ("SECRET", "TOKEN", "HOOK"))
        shown = "" if hidden or isinstance(error, Hidden) else f" = {value!r}"
        raise SettingsError(f"{name}{shown}: {error}") from None
