"""The words that the store keeps: the same text in the database, in JSON and in a sentence."""

import ast
import json
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from enum import StrEnum
from pathlib import Path

import msgspec
import pytest

from rollbook.genesys.named import NameKind
from rollbook.store import vocabulary
from rollbook.store.vocabulary import EndReason, GapKind, Provenance, SetAside, Verdict

STORE = Path(vocabulary.__file__).parent
# Column → the words that it holds.
COLUMNS: dict[str, Iterable[StrEnum]] = {
    "verdict": Verdict,
    "kind": [*GapKind, *NameKind],  # of a gap, or of what has a name
    "provenance": Provenance,
    "followed": SetAside,
    "end_reason": EndReason,
}
WORDS = [
    word for kind in vars(vocabulary).values() if isinstance(kind, type) and issubclass(kind, StrEnum) for word in kind
]


@pytest.mark.parametrize("word", WORDS, ids=repr)
def test_a_word_is_its_text_wherever_it_goes(word: StrEnum) -> None:
    """In a row, as JSON by either encoder, as a key, in an f-string and in %-formatting."""
    text = str(word.value)
    with closing(sqlite3.connect(":memory:")) as db:
        row = db.execute("SELECT ?1, typeof(?1), ?1 = ?2", (word, text)).fetchone()
    assert (row, type(row[0])) == ((text, "text", 1), str)
    assert json.dumps({word: word}) == json.dumps({text: text})
    assert msgspec.json.encode({word: word}) == msgspec.json.encode({text: text})
    assert f"{word} {word:<8}|" + "%s" % word == f"{text} {text:<8}|{text}"  # noqa: UP031
    assert {text: 1}[word] == 1


def test_sql_uses_no_other_word() -> None:
    """Each word that SQL of the store compares one of these columns with is of the vocabulary."""
    pattern = re.compile(rf"\b({'|'.join(COLUMNS)})\b\s*(?:=|<>|IS NOT|IS|IN)\s*(\([^()?]*\)|'[^']*')", re.IGNORECASE)
    found = 0
    for path in STORE.rglob("*"):
        if path.suffix not in (".py", ".sql"):
            continue
        text = path.read_text(encoding="utf-8")
        texts = [text] if path.suffix == ".sql" else _literals(text)
        for column, words in (match.groups() for literal in texts for match in pattern.finditer(literal)):
            for word in re.findall(r"'([^']+)'", words):
                found += 1
                assert word in set(COLUMNS[column.lower()]), f"{path.name}: {column} {words}"
    assert found > 15


def _literals(source: str) -> list[str]:
    """The texts of a module, f-strings with their braces left out."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            found.append(
                "".join(
                    part.value for part in node.values if isinstance(part, ast.Constant) and isinstance(part.value, str)
                )
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found
