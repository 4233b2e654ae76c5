"""Conversations asked for by id: in batches that fit, halved where one id spoils the rest, and twice where none came.

It asks and says what came; what that means for a window is `runner.py`'s to say, for a conversation `follow_up.py`'s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

from reconcile.patience import QuestionPatience, RunClock
from rollbook.genesys.errors import ApiError, NotFound, PermissionRefused, RequestRefused
from rollbook.genesys.ids import may_be_asked_for
from rollbook.genesys.messages.details import DetailRow
from rollbook.genesys.times import to_text

# Ids in one request: used in production by others, the platform's own limit is not documented (reference, section 3).
BATCH: Final = 100
# Bytes of the ids in one request: an address of more than some 8,000 is refused by gateways.
LONGEST: Final = 6_000
# Two answers that lack a conversation are two witnesses if they are this far apart: a replica or a shard that was away.
APART: Final = timedelta(minutes=10)
# Seconds between two questions of one run for what the first answer lacked.
SECOND_QUESTION: Final = 3.0


class ById(Protocol):
    """The part of the API that is used here."""

    async def details_by_id(self, ids: Sequence[str], /, *, tries: int | None = None) -> list[DetailRow]:
        """The details of up to 100 conversations; those that do not exist are not among them. tries: as `Rest.call`."""


@dataclass(frozen=True, slots=True)
class AnswerById:
    """The answer to a question for some ids. as_of: API text.

    knows: the answer had something that was asked for, so that what it lacks says something. refused: (id, why) of an
    id for which the platform itself refuses to answer, alone too. not_taken: ids of what it had and the store cannot
    take, which are none of its rows any more.
    """

    asked: Sequence[str]
    rows: Sequence[DetailRow]
    as_of: str
    knows: bool = True
    refused: tuple[str, str] | None = None
    not_taken: Sequence[str] = ()

    @property
    def absent(self) -> list[str]:
        """The ids that an answer lacks which knows something."""
        return self._lacking if self.knows and self.refused is None else []

    @property
    def undecided(self) -> list[str]:
        """The ids that an answer lacks which had nothing at all."""
        return self._lacking if not self.knows and self.refused is None else []

    @property
    def _lacking(self) -> list[str]:
        came = {*(row.conversation_id for row in self.rows), *self.not_taken}
        return [id_ for id_ in self.asked if id_ not in came]


async def ask(
    api: ById,
    ids: Iterable[str],
    clock: RunClock,
    *,
    known: str | None = None,
    patience: QuestionPatience | None = None,
) -> AsyncIterator[AnswerById]:
    """Ask for conversations by id: a hundred a request, fewer if their ids are long or the platform refuses so many.

    A request that is refused, or that cannot be had, is halved down to the one id whose fault it is. known: a
    conversation that certainly exists; it is asked for beside each batch, so that an answer without it is known to know
    nothing. patience: of the round's windows together; what is refused for one id alone is only asked for again later,
    so no single id has more of it than a batch. Raises what is not one id's fault: ApiError and its kinds,
    ConnectionLost.
    """
    patience = patience or QuestionPatience()
    waiting = deque(_batches(sorted({id_ for id_ in ids if may_be_asked_for(id_)}), BATCH))
    trouble = taken = 0  # requests that failed one after the other; and halves of such that were taken
    found = False  # whether anything came, so that an answer without an id says something
    is_control_refused = False  # whether what certainly exists was refused as well
    while waiting and not clock.stopped:
        part = waiting.popleft()
        as_of = to_text(clock.now())
        beside = [known] if known is not None and may_be_asked_for(known) and known not in part else []
        try:
            rows = await _by_id(api, [*part, *beside], patience)
        except ApiError as error:
            trouble, taken = trouble + 1, 0
            if not _of_one(error) or trouble > _MOST_TROUBLE:
                raise
            patience.refused = patience.refused or error.narrower
            if len(part) == 1 and beside and not await _comes(api, beside[0], patience):
                waiting.appendleft(part)
                known, is_control_refused = None, True  # it may be the one whose fault it is
            elif len(part) == 1 and isinstance(error, NotFound):
                # The platform says that it does not know this one; which says something if it knows any at all.
                yield AnswerById(part, (), as_of, knows=found or bool(beside))
            elif len(part) == 1 and _says_nothing(error, found or bool(beside), is_control_refused):
                # A gateway's answer, one that was cut, broken, too slow or too large, or a refusal of whatever this
                # client asks for: it may well be there.
                yield AnswerById(part, (), as_of, knows=False)
            elif len(part) == 1:
                yield AnswerById(part, (), as_of, refused=(part[0], error.message))
            else:
                half = len(part) // 2
                waiting.extendleft((part[half:], part[:half]))
            continue
        taken = taken + 1 if trouble or taken else 0
        if taken == 2:
            # Both halves were taken: it was how many, and nobody's id. The rest is asked for like that.
            waiting = deque(_batches([id_ for batch in waiting for id_ in batch], len(part)))
        trouble = 0
        came = [row for row in rows if not row.broken]
        # What nobody asked for is the answer to another question, and says nothing of these.
        knows = any(row.conversation_id in part or row.conversation_id in beside for row in came)
        found = found or knows
        yield AnswerById(part, [row for row in came if row.conversation_id in part], as_of, knows=knows)


# A batch of a hundred in halves is seven requests that fail, and then the next one may.
_MOST_TROUBLE: Final = 24


def _batches(ids: Sequence[str], most: int) -> Iterator[list[str]]:
    """The ids in batches of `most` at most that fit into an address."""
    batch: list[str] = []
    size = 0
    for id_ in ids:
        if batch and (len(batch) >= most or size + len(id_) >= LONGEST):
            yield batch
            batch, size = [], 0
        batch.append(id_)
        size += len(id_) + 1
    if batch:
        yield batch


async def _by_id(api: ById, ids: Sequence[str], patience: QuestionPatience) -> list[DetailRow]:
    tries = patience.tries(less=True)
    return await (api.details_by_id(ids) if tries is None else api.details_by_id(ids, tries=tries))


async def _comes(api: ById, conversation_id: str, patience: QuestionPatience) -> bool:
    try:
        return bool(await _by_id(api, [conversation_id], patience))
    except ApiError as error:
        if not _of_one(error):
            raise
        return False


def _of_one(error: ApiError) -> bool:
    """True for an error that may be the fault of one of the ids that were asked for."""
    return isinstance(error, NotFound | PermissionRefused | RequestRefused) or error.narrower


def _says_nothing(error: ApiError, others_came: bool, is_control_refused: bool) -> bool:
    """True for an error that is no word of the platform about the id: one that another question might not meet.

    A question for less might not meet it (the platform's own code for what it does not know is such a word, whatever
    the status is), or a client that may ask, or, where nothing came and what exists is refused as well, any other day.
    """
    if error.narrower and error.code != "not.found":
        return True
    return not others_came and (is_control_refused or isinstance(error, PermissionRefused))


@dataclass(slots=True)
class AskedTwice:
    """Answers to a question for ids, and to a second question for those that were lacking. as_of: of the last answer.

    absent: not in two answers that knew something. undecided: the answers knew nothing at all, or could not be had.
    refused: the platform refuses to be asked for these, each alone.
    """

    rows: list[DetailRow] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    as_of: str = ""


async def ask_twice(
    api: ById,
    ids: Iterable[str],
    clock: RunClock,
    *,
    on_answer: Callable[[AnswerById], Awaitable[None]],
    known: str | None = None,
    patience: QuestionPatience | None = None,
) -> AskedTwice:
    """Ask for ids, and after a pause once more for those that did not come. on_answer: called with rows."""
    asked, patience, wanted = AskedTwice(), patience or QuestionPatience(), list(ids)
    for is_second in (False, True):
        if is_second:
            await clock.sleep(SECOND_QUESTION)
        lacking: list[str] = []
        async for answer in ask(api, wanted, clock, known=known, patience=patience):
            asked.as_of = answer.as_of
            asked.rows += answer.rows
            if answer.rows:
                await on_answer(answer)
            if answer.refused is not None:
                asked.refused.append(answer.refused[0])
            if is_second:
                asked.absent += answer.absent
                asked.undecided += answer.undecided
            lacking += [*answer.absent, *answer.undecided]
        if not lacking:
            break
        wanted = lacking
    return asked
