"""The signs of typography in telephone numbers: a number that was copied from a page or a chat has them. Pure."""

from __future__ import annotations

from typing import Final

# By their codes, first and last: no-break blanks and those of a width, hyphens, dashes, and what is not seen at all.
_BLANKS: Final = (
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
)
_HYPHENS: Final = ((0x2010, 0x2012), (0xFE63, 0xFE63), (0xFF0D, 0xFF0D))
# These stand between two numbers, too.
_DASHES: Final = ((0x2013, 0x2015), (0x2212, 0x2212), (0xFE58, 0xFE58))
_UNSEEN: Final = (
    (0xAD, 0xAD),
    (0x061C, 0x061C),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x2069),
    (0xFEFF, 0xFEFF),
)


def _in_brackets(*ranges: tuple[int, int]) -> str:
    return "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in ranges)


# As they stand within the brackets of a pattern: hyphens, dashes, and all else that is within a number.
HYPHENS: Final = _in_brackets(*_HYPHENS)
DASHES: Final = _in_brackets(*_DASHES)
SIGNS: Final = _in_brackets(*_BLANKS, *_HYPHENS, *_UNSEEN)
_PLAIN: Final[dict[int, str | None]] = {
    code: plain
    for ranges, plain in ((_BLANKS, " "), ((*_HYPHENS, *_DASHES), "-"), (_UNSEEN, None))
    for first, last in ranges
    for code in range(first, last + 1)
}


def with_plain_signs(text: str) -> str:
    """A text with a blank and a hyphen for such blanks and dashes, and without what is not seen."""
    return text if text.isascii() else text.translate(_PLAIN)
