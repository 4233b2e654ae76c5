"""A short run of `tests/fuzz.py`: a few cases through each door, without a finding, and the judge finds what is wrong."""

from __future__ import annotations

import logging
import random

import pytest

from rollbook.genesys.errors import RollbookError
from tests.fuzz import DOORS, fuzz
from tests.fuzzing.judge import SECRET, Hang, Judge, Output
from tests.fuzzing.mutations import altered
from tests.helpers.hostile import hostile_texts


def test_no_door_has_a_finding() -> None:
    """Every door takes cases, the first of which are the same each time."""
    done, findings = fuzz(list(DOORS), seed=1, seconds=0, turn=0.05)
    assert [str(finding) for finding in findings] == []
    assert all(done.values()), done


def _raise(error: BaseException) -> Output:
    raise error


def _log() -> Output:
    try:
        raise ValueError("x")
    except ValueError:
        logging.getLogger("rollbook").exception("it failed")
    return Output()


@pytest.mark.parametrize(
    ("put", "why"),
    [
        (lambda: _raise(KeyError("x")), "KeyError"),
        (lambda: _raise(Hang("it took more than 10 s")), "it took more"),
        (lambda: _raise(RollbookError(f"the secret is {SECRET}")), "a secret is shown"),
        (lambda: Output(["a \x1b[2J b"]), "active text"),
        (lambda: Output(pages=["<p><script>alert(1)</script>"]), "markup"),
        (_log, "a traceback in the log"),
    ],
)
def test_the_judge_finds_what_is_wrong(put: object, why: str) -> None:
    """Each kind of a finding is seen; an error that is foreseen is none."""
    judge = Judge()
    with judge.at_work():
        found = judge.watch(put, (RollbookError,))  # type: ignore[arg-type]
        assert judge.watch(lambda: _raise(RollbookError("no")), (RollbookError,)) == []
    assert any(why in each for each in found), found


def test_a_case_is_made_of_its_seed_alone() -> None:
    """The same seed alters an example alike, another one otherwise; what comes out is mostly another text."""
    example = b'{"topicName": "v2.a", "eventBody": {"id": 1}}'
    made = [altered(example, random.Random(number), [example]) for number in range(200)]
    assert made == [altered(example, random.Random(number), [example]) for number in range(200)]
    assert len(set(made)) > 150
    assert len(set(hostile_texts(1_000))) == 1_000
