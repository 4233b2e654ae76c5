"""Hostile input through every door, as the product's own readers, commands, port and files meet it.

    python tests/fuzz.py --minutes 10            all doors, in turns
    python tests/fuzz.py --minutes 1 --door port one of them
    python tests/fuzz.py --door port --seed 5 --case 1234   that case again

Real examples are altered (tests/fuzzing/mutations.py): cut, doubled, spliced, of other kinds, with hostile texts. A
finding is: an exception that the door does not foresee, a traceback in the log, more than ten seconds of the processor,
more than 250 MB of memory, a secret or an active character in what people see, markup on a page. Each case is made of
its door, the seed and its number alone. Printed are the seed, the cases of each door and the findings; exit status 1 if
there is any.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.fuzzing import doors, doors_of_answers, doors_of_files, doors_of_people
from tests.fuzzing.doors import Door
from tests.fuzzing.judge import Finding, Judge, forget_peak

DOORS: Final[dict[str, Callable[[Path], contextlib.AbstractContextManager[Door]]]] = {
    "socket": doors.socket_door,
    "queue": doors.queue_door,
    "function": doors.function_door,
    "files": doors.files_door,
    "answers": doors_of_answers.answers_door,
    "platform": doors_of_answers.platform_door,
    "settings": doors_of_people.settings_door,
    "words": doors_of_people.words_door,
    "port": doors_of_people.port_door,
    "packed": doors_of_files.packed_door,
    "manifest": doors_of_files.manifest_door,
    "backup": doors_of_files.backup_door,
}
# Seconds that a door has before it is the next one's turn; findings of a kind that are printed; seconds without an end
# of a case after which the process says where it is and ends.
_TURN: Final = 2.0
_FEW: Final = 5
_DEAD: Final = 300


def cases(door: Door, judge: Judge, seed: int, numbers: Iterator[int], until: float) -> Iterator[tuple[int, list[str]]]:
    """Do cases of a door until a time, answering what is wrong with each."""
    for number in numbers:
        draw = random.Random(f"{seed}:{door.name}:{number}")
        faulthandler.dump_traceback_later(_DEAD, exit=True)
        yield number, judge.watch(lambda draw=draw: door.put(draw), door.foreseen)  # type: ignore[misc]
        if time.monotonic() >= until:
            return


def fuzz(
    names: list[str],
    *,
    seed: int,
    seconds: float,
    case: int | None = None,
    turn: float = _TURN,
    on_finding: Callable[[Finding], None] = lambda _: None,
) -> tuple[dict[str, int], list[Finding]]:
    """Put cases through doors for so long, or the one case; answers how many each door had, and the findings."""
    done = dict.fromkeys(names, 0)
    findings: list[Finding] = []
    judge = Judge()
    with tempfile.TemporaryDirectory(prefix="rollbook-fuzz-") as folder, contextlib.ExitStack() as opened:
        Path(folder).chmod(0o700)
        counting = {
            name: iter(range(case or 0, (case or 0) + 1) if case is not None else range(10**9)) for name in names
        }
        end = time.monotonic() + seconds
        while True:
            shares = 0.0
            for name in names:
                # A door at a time: what one has changed in the process (folder, variables) is no other's.
                with DOORS[name](Path(tempfile.mkdtemp(dir=folder))) as door, judge.at_work():
                    shares += door.share
                    forget_peak()
                    for number, wrong in cases(door, judge, seed, counting[name], time.monotonic() + turn * door.share):
                        done[name] += 1
                        for finding in [Finding(name, seed, number, each) for each in wrong]:
                            findings.append(finding)
                            on_finding(finding)
                faulthandler.cancel_dump_traceback_later()
            if case is not None or time.monotonic() >= end:
                break
            # The last round ends when all is to end.
            turn = min(turn * 2, 30.0, max((end - time.monotonic()) / shares, 0.2))
        opened.close()
    return done, findings


def main() -> None:
    """As the module's text says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument(
        "--door", action="append", choices=list(DOORS), help="only this one (may be given several times)"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000, help="another seed is other cases")
    parser.add_argument("--case", type=int, help="only the case of this number")
    given = parser.parse_args()
    os.umask(0o077)
    print(f"seed {given.seed}", flush=True)
    kinds: Counter[str] = Counter()

    def show(finding: Finding) -> None:
        kind = f"{finding.door} {finding.what[:60]}"
        kinds[kind] += 1
        if kinds[kind] <= _FEW:
            print(finding, flush=True)

    names = given.door or list(DOORS)
    done, findings = fuzz(names, seed=given.seed, seconds=given.minutes * 60, case=given.case, on_finding=show)
    for name, count in done.items():
        print(f"{name:<10}{count:>10,} cases, {sum(each.door == name for each in findings)} findings")
    print(f"{sum(done.values()):,} cases, {len(findings)} findings")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
