"""Records of details whose every field is known: redacted in half of the time that a tree of dictionaries takes. Pure.

What the platform documents is decoded into parts that have just these fields, each of a kind that cannot hide another.
A record that has anything else (a new field, an object where a text belongs) is nobody's here: `redacted` answers None,
and the redactor looks at all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from rollbook.genesys.messages.detail_fields import (
    EVALUATION,
    FLOW,
    FLOW_OUTCOME,
    MEDIA_ENDPOINT_STAT,
    METRIC,
    PARTICIPANT,
    RESOLUTION,
    SEGMENT,
    SESSION,
    SURVEY,
)

_encode: Final = msgspec.json.Encoder().encode
_Single = str | int | float | bool | None
_Plain = _Single | list[_Single]
_RECORD: Final = (
    "conversationId",
    "conversationStart",
    "conversationEnd",
    "originatingDirection",
    "divisionIds",
    "mediaStatsMinConversationMos",
    "mediaStatsMinConversationRFactor",
    "conversationInitiator",
    "customerParticipation",
    "externalTag",
    "selfServed",
    "inactivityTimeout",
    "knowledgeBaseIds",
)


class _Shape(NamedTuple):
    """A kind of part. many: parts below it that come in lists; single: those that do not; open: fields of any shape."""

    fields: Sequence[str]
    many: Mapping[str, _Shape] = MappingProxyType({})
    single: Mapping[str, _Shape] = MappingProxyType({})
    open: Sequence[str] = ()


_SHAPE: Final = _Shape(
    _RECORD,
    {
        "participants": _Shape(
            PARTICIPANT,
            {
                "sessions": _Shape(
                    SESSION,
                    {
                        "segments": _Shape(
                            SEGMENT,
                            {"scoredAgents": _Shape(("agentScore", "scoredAgentId"))},
                            open=("properties",),
                        ),
                        "metrics": _Shape(METRIC),
                        "mediaEndpointStats": _Shape(MEDIA_ENDPOINT_STAT),
                        "proposedAgents": _Shape(("agentRank", "proposedAgentId")),
                    },
                    {"flow": _Shape(FLOW, {"outcomes": _Shape(FLOW_OUTCOME)})},
                    ("agentGroups",),
                )
            },
            open=("attributes",),
        ),
        "evaluations": _Shape(EVALUATION),
        "surveys": _Shape(SURVEY),
        "resolutions": _Shape(RESOLUTION),
    },
)

Path = tuple[str, ...]
# The treatment of a value of any shape: what takes its place, UNSET where the field is left out.
Treat = Callable[[Any], Any]
# What becomes of the field of a name below a path (the nearest name first); None where it stays.
TreatmentOf = Callable[[str, Path], Treat | None]


def left_out(_: Any) -> Any:
    """Leave a field out, whatever it says: a treatment that need not look at the value."""
    return UNSET


class _Plan(NamedTuple):
    """The work on a part of a kind."""

    dropped: tuple[str, ...]
    treated: tuple[tuple[str, Treat], ...]
    open: tuple[tuple[str, Path], ...]
    many: tuple[tuple[str, _Plan], ...]
    single: tuple[tuple[str, _Plan], ...]


class KnownRecords:
    """Redacts records of the shape that is documented.

    treatment_of: as the policy has it. walk: treats what is named below an object or an array of any shape.
    """

    def __init__(self, treatment_of: TreatmentOf, walk: Callable[[Any, Path], None]) -> None:
        self._walk = walk
        record, self._plan = _made("Record", _SHAPE, ("",), treatment_of)
        self._decode = msgspec.json.Decoder(record).decode

    def redacted(self, raw: bytes) -> bytes | None:
        """The record without what the policy takes; None where it has something that is not known here."""
        try:
            record = self._decode(raw)
            self._clean(record, self._plan)
            return _encode(record)
        except (msgspec.DecodeError, RecursionError, OverflowError, UnicodeDecodeError):
            return None

    def _clean(self, part: Any, plan: _Plan) -> None:
        for name in plan.dropped:
            setattr(part, name, UNSET)
        for name, treat in plan.treated:
            value = getattr(part, name)
            if value is not UNSET:
                setattr(part, name, treat(value))
        for name, path in plan.open:
            value = getattr(part, name)
            if value.__class__ is list or value.__class__ is dict:
                self._walk(value, path)
        for name, below in plan.many:
            for each in getattr(part, name) or ():
                self._clean(each, below)
        for name, below in plan.single:
            if value := getattr(part, name):
                self._clean(value, below)


def _made(name: str, shape: _Shape, path: Path, treatment_of: TreatmentOf) -> tuple[Any, _Plan]:
    """The kind of a part, and what is to be done with each."""
    kinds: dict[str, Any] = {}
    dropped: list[str] = []
    treated: list[tuple[str, Treat]] = []
    many: list[tuple[str, _Plan]] = []
    single: list[tuple[str, _Plan]] = []
    open_fields = [(each, (each, *path)) for each in shape.open]
    for field in _names(shape):
        treat = treatment_of(field, path)
        if treat is left_out:
            kinds[field] = Raw
            dropped.append(field)
        elif treat is not None:
            kinds[field] = Any
            treated.append((field, treat))
        elif (below := shape.many.get(field) or shape.single.get(field)) is not None:
            kind, plan = _made(field, below, (field, *path), treatment_of)
            kinds[field] = (list[kind] if field in shape.many else kind) | None  # type: ignore[valid-type]
            if any(plan):
                (many if field in shape.many else single).append((field, plan))
        else:
            kinds[field] = Any if field in shape.open else _Plain
    open_fields = [each for each in open_fields if kinds[each[0]] is Any]
    made = msgspec.defstruct(
        name,
        [(field, kind | msgspec.UnsetType if kind is not Any else Any, UNSET) for field, kind in kinds.items()],
        forbid_unknown_fields=True,
        gc=False,
        module=__name__,
    )
    return made, _Plan(tuple(dropped), tuple(treated), tuple(open_fields), tuple(many), tuple(single))


def _names(shape: _Shape) -> Iterable[str]:
    return dict.fromkeys((*shape.fields, *shape.open, *shape.many, *shape.single))
