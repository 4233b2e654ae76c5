"""Headers of every answer of the platform, as recorded, and those that a browser asks for.

Decides nothing about bodies and statuses. Recorded: a trace in the platform's own blog, March 2021.
"""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from typing import Final

from aiohttp import web

CONTEXT: Final[ContextVar[str]] = ContextVar("context")  # the correlation id of the answer that is being made

_RECORDED: Final = {
    "Strict-Transport-Security": "max-age=600; includeSubDomains",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
}
_JSON: Final = "application/json"
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_READABLE: Final = (
    "ININ-Correlation-Id, inin-ratelimit-count, inin-ratelimit-allowed, inin-ratelimit-reset, Retry-After, Date"
)
# The first parts of the paths that the platform's SDK knows: below them a path may well exist.
FAMILIES: Final = frozenset(
    {
        "agentic",
        "alerting",
        "analytics",
        "architect",
        "assistants",
        "audits",
        "authorization",
        "backgroundassistant",
        "billing",
        "businessrules",
        "carrierservices",
        "casemanagement",
        "certificate",
        "chats",
        "coaching",
        "contentmanagement",
        "conversations",
        "dataextensions",
        "dataprivacy",
        "date",
        "dependencies",
        "diagnostics",
        "documentation",
        "downloads",
        "emails",
        "employeeengagement",
        "employeeperformance",
        "events",
        "externalcontacts",
        "fax",
        "fieldconfig",
        "flows",
        "gamification",
        "gdpr",
        "geolocations",
        "greetings",
        "groups",
        "guides",
        "identityproviders",
        "infrastructureascode",
        "integrations",
        "intents",
        "ipranges",
        "journey",
        "knowledge",
        "languages",
        "languageunderstanding",
        "learning",
        "license",
        "locations",
        "messaging",
        "mobiledevices",
        "notifications",
        "oauth",
        "organizations",
        "orgauthorization",
        "orphanrecordings",
        "outbound",
        "presence",
        "presencedefinitions",
        "processautomation",
        "profiles",
        "quality",
        "recording",
        "recordings",
        "responsemanagement",
        "routing",
        "scim",
        "screenmonitors",
        "screenrecording",
        "scripts",
        "search",
        "settings",
        "socialmedia",
        "speechandtextanalytics",
        "stations",
        "systempresences",
        "taskmanagement",
        "teams",
        "telephony",
        "textbots",
        "timezones",
        "tokens",
        "uploads",
        "usage",
        "userrecordings",
        "users",
        "voicemail",
        "webdeployments",
        "webmessaging",
        "workforcemanagement",
    }
)


def exists_elsewhere(path: str) -> bool:
    """Say whether the platform may have a resource there that the simulator does not have."""
    parts = path.split("/")
    return len(parts) > 3 and parts[1:3] == ["api", "v2"] and parts[3] in FAMILIES


def finish(request: web.Request, answer: web.StreamResponse) -> None:
    """Headers of an answer that is about to be sent."""
    headers = answer.headers
    if headers.get("Server", "").startswith("Python/"):
        del headers["Server"]
    if headers.get("Content-Type", "").startswith(_JSON):
        headers["Content-Type"] = _JSON
    if isinstance(answer, web.WebSocketResponse):
        return
    if isinstance(answer, web.Response) and not answer.body:
        headers.pop("Content-Type", None)
    for name, value in _RECORDED.items():
        headers.setdefault(name, value)
    if origin := request.headers.get("Origin"):
        headers.setdefault("Access-Control-Allow-Origin", origin)
        headers.setdefault("Access-Control-Expose-Headers", _READABLE)
        headers.setdefault("Access-Control-Allow-Credentials", "true")
        headers.setdefault("Vary", "Origin")


def preflight(request: web.Request) -> web.Response | None:
    """The answer to a browser that asks whether it may ask; None: the request is none of these."""
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return None
    allowed = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Max-Age": "86400"}
    if wanted := request.headers.get("Access-Control-Request-Headers"):
        allowed["Access-Control-Allow-Headers"] = wanted
    return web.Response(headers=allowed)


def context() -> str:
    """Correlation id of this answer, which is in its headers and in an error's body."""
    return CONTEXT.get(None) or str(uuid.uuid4())


def scheme(request: web.Request) -> str:
    """`https` or `http`: that of the client, which may speak to something in front of the server."""
    forwarded = request.headers.get("X-Forwarded-Proto", "").split(",")[0].strip().lower()
    return forwarded if forwarded in ("https", "http") else "https" if request.secure else "http"


def socket_address(request: web.Request) -> str:
    """Where the sockets are, as a client of this request reaches them: `api.x` has `streaming.x` beside it."""
    host = request.headers.get("X-Forwarded-Host", "").split(",")[0].strip() or request.host
    if host.lower().startswith("api."):
        host = f"streaming.{host[4:]}"
    return f"{'wss' if scheme(request) == 'https' else 'ws'}://{host}"
