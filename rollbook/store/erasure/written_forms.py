"""The forms in which a text may have a person's key: in the address of a page, or escaped as JSON is. Pure.

A text of a body may be an address (`https://a.example/people?tel=%2B49301234567`), JSON, or have either in its midst,
one within the other. Whoever looks for a person looks at each reading of it, and at each piece of those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final
from urllib.parse import unquote

# Most values of a record: they have no parts.
TIME_OR_ID: Final = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII
)
# A text without any of these has no form but its own.
_SPECIAL: Final = re.compile(r'[%/?=&#"\\]')
_LETTERS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# However often it was escaped: each time doubles the backslashes.
_ESCAPED: Final = re.compile(r'\\+(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
# So often what is escaped or encoded is read again: an address within JSON within an address.
_READINGS: Final = 6
_DIVIDERS: Final = re.compile(r'[/?&=#;"|]')
# What has the pieces of an address of a page: a slash in a sentence does not make names of the words beside it.
_ADDRESS_OF_PAGE: Final = re.compile(r"://|[?&#][^\s=?&#]+=|\A\s*(?:/|[\w.\-]+=)|%[0-9a-fA-F]{2}")
_PARTS: Final = re.compile(r'[/?&#;"]')
_FINER: Final = re.compile(r"[:@,]")
_AROUND_VALUE: Final = " \t\r\n:,{}[]"
_AROUND_ADDRESS: Final = " \t\r\n.,;:!)]}>'"
# What stands before an @ and its host, which may be what stands before the next. Each run of signs is read once.
_EMAIL: Final = re.compile(r"""(?<![^\s<>"',;:()\[\]\\@])([^\s<>"',;:()\[\]\\@]++)@(?=([\w.\-]+))""")
# The part before the @ may have most signs, those too that stand before it in a text: so many are tried as its begin.
_SIGNS: Final = re.compile(r"[^\w.+\-]")
_MOST_SIGNS: Final = 8
_LONGEST_LOCAL: Final = 254
_PLUS_FOR_BLANK: Final = re.compile(r"(?<=\w)\+(?=[\w(])")


def readings(text: str) -> list[str]:
    """A text, and what it says once it is unescaped and decoded, as often as it was; none if it is read in one way."""
    if not _SPECIAL.search(text):
        return []
    found = [text]
    for _ in range(_READINGS):
        plainer = unquote(_whole(_ESCAPED.sub(_unescaped, text)) if "\\" in text else text)
        if plainer == text:
            break
        found.append(plainer)
        text = plainer
    return found


def forms(text: str, read: Iterable[str]) -> Iterator[str]:
    """The forms of a text in which numbers and addresses are looked for. read: its readings."""
    yield text
    for reading in read:
        if reading is not text:
            yield reading
        yield _divided(reading)


def _divided(text: str) -> str:
    """A reading whose parts are divided by what no number has, with blanks for the pluses of an address."""
    text = _DIVIDERS.sub("|", text)
    return _PLUS_FOR_BLANK.sub(" ", text) if "+" in text else text


def _whole(text: str) -> str:
    """The text with one sign for each pair of halves, as JSON writes what is beyond 16 bits."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescaped(found: re.Match[str]) -> str:
    code, letter = found.groups()
    return chr(int(code, 16)) if code else _LETTERS.get(letter, letter)


def pieces(text: str) -> Iterator[tuple[str | None, str]]:
    """The values within a reading, each with the name that it has there: of an address, and of JSON."""
    if _ADDRESS_OF_PAGE.search(text):
        for part in dict.fromkeys(_PARTS.split(text)):
            name, sign, value = part.partition("=")
            # Words may stand before an address, and so before the first name.
            names = {_plain(name).strip(), _plain(name.split()[-1])} if sign and name.strip() else {None}
            for each in _decoded(value if sign else part):
                yield from ((of, each) for of in names)
    if '"' in text and ("{" in text or "[" in text or text.lstrip().startswith('"')):
        quoted = text.split('"')
        for place, part in enumerate(quoted):
            if value := part.strip(_AROUND_VALUE):
                has_name = part.lstrip().startswith(":") and place
                name = quoted[place - 1] if has_name else _name_before(quoted, place)
                yield name, value
                if "+" in value or (name and "+" in name):  # it is within an address
                    yield name and _plain(name), _plain(value)


def _plain(text: str) -> str:
    return unquote(text.replace("+", " "))


def _decoded(part: str) -> Iterator[str]:
    """A part of an address as it was meant; a plus is a blank there, or it is not; the address ends at a blank."""
    if not (words := part.split()):
        return
    for each in dict.fromkeys((part, words[0], words[-1])):
        for plain in dict.fromkeys((unquote(each), _plain(each))):
            yield plain
            yield plain.strip(_AROUND_ADDRESS)
            if _FINER.search(plain):
                yield from _FINER.split(plain)


def _name_before(quoted: list[str], place: int) -> str | None:
    return quoted[place - 2] if place >= 2 and quoted[place - 1].strip(" \t\r\n+") == ":" else None


def email_addresses(text: str) -> Iterator[str]:
    """The e-mail addresses that a text may have, as they are written: what stands before one may be a part of it."""
    for local, host in _EMAIL.findall(text) if "@" in text else ():
        near = local[-_LONGEST_LOCAL:]
        starts = [each.end() for each in _SIGNS.finditer(near)][-_MOST_SIGNS:]
        yield from (f"{near[start:]}@{host.rstrip('.')}" for start in (0, *starts) if near[start:])


# Tells whether a text is a key as a whole, of the attribute of a name.
IsKey = Callable[[str, str | None], bool]


def keys_within(read: Iterable[str], is_key: IsKey) -> Iterator[str]:
    """The pieces of a value that are a key as a whole. read: its readings."""
    for reading in read:
        yield from (piece for name, piece in dict.fromkeys(pieces(reading)) if is_key(piece, name))


def is_named(value: str, name: str | None, *, is_key: IsKey, has_part: Callable[[str], bool]) -> bool:
    """Tell whether a value names somebody in any of its forms.

    name: of the participant attribute that it is of. has_part: tells whether a number or an address of theirs is in a
    text.
    """
    if is_key(value, name):
        return True
    if TIME_OR_ID.fullmatch(value):
        return False
    read = readings(value)
    return any(map(has_part, forms(value, read))) or any(True for _ in keys_within(read, is_key))
