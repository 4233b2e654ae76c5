"""The signs of typography in telephone numbers: a number that was copied from a page or a chat has them. Pure."""

from __future__ import annotations

from typing import Final

# By their codes, first and last: no-break blanks and those of a width, dashes, and what is not seen at all.
_BLANKS: Final = (
    (0x00A0, 0x00A0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
)
_DASHES: Final = ((0x2010, 0x2015), (0x2212, 0x2212), (0xFE58, 0xFE58), (0xFE63, 0xFE63), (0xFF0D, 0xFF0D))
_UNSEEN: Final = ((0x00AD, 0x00AD), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2069), (0xFEFF, 0xFEFF))

# All of them, as they stand within the brackets of a pattern.
SIGNS: Final = "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in (*_BLANKS, *_DASHES, *_UNSEEN))
_PLAIN: Final[dict[int, str | None]] = {
    code: plain
    for ranges, plain in ((_BLANKS, " "), (_DASHES, "-"), (_UNSEEN, None))
    for first, last in ranges
    for code in range(first, last + 1)
}


def with_plain_signs(text: str) -> str:
    """A text with a blank and a hyphen for such blanks and dashes, and without what is not seen."""
    return text if text.isascii() else text.translate(_PLAIN)
