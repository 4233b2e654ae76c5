"""JSON whose every field is known: redacted in half of the time that a tree of dictionaries takes, or less. Pure.

What the platform documents is decoded into parts that have just these fields, each of a kind that cannot hide another.
JSON that has anything else (a new field, an object where a text belongs) is nobody's here: `redacted` answers None, and
the redactor looks at all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from rollbook.genesys.canonical_json import decoder
from rollbook.genesys.messages.documented_shapes import Shape

_Whole = str | int | bool | None
_WholePlain = _Whole | list[_Whole]
_Single = str | int | float | bool | None
_Plain = _Single | list[_Single]

# After so many in a row that were not known, each second is tried, after as many more each third, and so on.
_PATIENCE: Final = 8
_LONGEST_REST: Final = 31

Path = tuple[str, ...]
# Of a body itself.
ROOT: Final[Path] = ("",)
# The treatment of a value of any shape: what takes its place, UNSET where the field is left out.
Treat = Callable[[Any], Any]
# What becomes of the field of a name below a path (the nearest name first); None where it stays.
TreatmentOf = Callable[[str, Path], Treat | None]
# What becomes of an object or an array of any shape at a path.
TreatmentBelow = Callable[[Path], Treat]


def left_out(_: Any) -> Any:
    """Leave a field out, whatever it says: a treatment that need not look at the value."""
    return UNSET


class KnownShape:
    """Redacts JSON of a shape that is documented.

    treatment_of, treatment_below: as the policy has it. canonical: the result is in the one spelling, as
    `canonical_json.spelled` has it of what the general way leaves; else it says the same.
    """

    def __init__(
        self, shape: Shape, treatment_of: TreatmentOf, treatment_below: TreatmentBelow, *, canonical: bool = False
    ) -> None:
        self._treatment_of, self._treatment_below = treatment_of, treatment_below
        self._canonical = canonical
        # Where the platform has a new field, nearly all that comes has it: to try each would be in vain.
        self._missed = self._resting = 0
        kind = self._kind("Known", shape, ROOT)
        self._decode = decoder(kind, _redacted) if canonical else msgspec.json.Decoder(kind, dec_hook=_redacted).decode
        # The fields of the parts are in order already; what is of any shape is put in order here.
        self._encode = msgspec.json.Encoder(order="deterministic" if canonical else None).encode

    def redacted(self, raw: bytes) -> bytes | None:
        """The JSON without what the policy takes; None where it has something that is not known here."""
        if self._resting > 0:
            self._resting -= 1
            return None
        try:
            found = self._encode(self._decode(raw))
        except (ValueError, RecursionError):
            self._missed += 1
            # Only where both ways leave the same bytes: which of them is taken must not show.
            self._resting = min(self._missed // _PATIENCE, _LONGEST_REST) if self._canonical else 0
            return None
        self._missed = 0
        return found

    def _kind(self, name: str, shape: Shape, path: Path) -> Any:
        """The kind of a part."""
        names = sorted(shape.names) if self._canonical else shape.names
        return msgspec.defstruct(
            name,
            [(each, *self._field(each, shape, path)) for each in names],
            forbid_unknown_fields=True,
            omit_defaults=True,
            gc=False,
            module=__name__,
        )

    def _field(self, name: str, shape: Shape, path: Path) -> tuple[Any, Any]:
        """Of a field the kind of its value, and what stands for it where there is none."""
        treat = self._treatment_of(name, path)
        if treat is None and name in shape.open:
            treat = self._treatment_below((name, *path))
        if treat is left_out:
            return _LeftOut, _NOTHING
        if treat is not None:
            kind: Any = _Treated(name, (), {"treat": staticmethod(treat)})
            kind.none = kind()
            return kind, kind.none
        below = shape.many.get(name) or shape.single.get(name)
        if below is None:
            # A float that is whole has another spelling: what has any is the general way's.
            return (_WholePlain if self._canonical else _Plain) | UnsetType, UNSET
        part = self._kind(name, below, (name, *path))
        return (list[part] if name in shape.many else part) | None | UnsetType, UNSET  # type: ignore[valid-type]


class _LeftOut:
    """A kind of value that is left out, whatever it is."""


_NOTHING: Final = _LeftOut()


class _Treated(type):
    """Kinds of values that the policy treats.

    treat: what becomes of a value as soon as it is decoded. none: what stands in its place where it is left out.
    """

    treat: Treat
    none: Any

    def __instancecheck__(cls, value: object) -> bool:
        """Let the decoder take what a value has become, whatever it is."""
        return True


def _redacted(kind: Any, value: Any) -> Any:
    """The answer to the decoder, which asks as soon as it has read a value that is treated."""
    if kind is _LeftOut:
        return _NOTHING
    new = kind.treat(value)
    return kind.none if new is UNSET else new
