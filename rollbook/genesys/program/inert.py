"""Text that somebody else wrote, made inert before people see it: it can neither steer a terminal nor forge a line.

An id, a name, a reason or a message comes from the platform, a queue, a file or a setting, and may hold escape
sequences, line breaks, or marks that turn the direction of writing. Every edge to people goes through this module: the
terminal and the text log (`console.py`), the daemon's states (`systemd.py`), the progress, the pages. Pure.
"""

from __future__ import annotations

import re
from typing import Final

# C0 with the line break and the tab, DEL and C1; what is invisible or turns the direction of writing; line and
# paragraph separators; tags; halves of surrogate pairs, which no output can encode. Joiners (U+200C, U+200D) stay:
# Persian names and emoji are spelled with them, and they do nothing else.
_UNSEEN: Final = (
    "\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff"
)
_ACTIVE: Final = re.compile(f"[\x00-\x1f{_UNSEEN}]")
_ACTIVE_IN_JSON: Final = re.compile(f"[{_UNSEEN}]")
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def inert(text: str) -> str:
    """One line in which every active character is spelled out: `\\x1b`, `\\n`, `\\u202e`."""
    return _ACTIVE.sub(_spelled, text)


def inert_block(text: str) -> str:
    """Lines, each made inert: for a text whose own line breaks are meant."""
    return "\n".join(map(inert, text.split("\n")))


def inert_json(text: str) -> str:
    """JSON that says the same, in which what a terminal would obey is escaped as JSON escapes it.

    In a text of JSON no character below the blank may stand for itself; it permits DEL, C1 and the rest.
    """
    return _ACTIVE_IN_JSON.sub(_spelled_in_json, text)


def _spelled(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _spelled_in_json(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
