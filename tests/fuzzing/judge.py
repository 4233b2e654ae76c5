"""What is a finding: an exception that nobody foresaw, a hang, too much memory, a secret or an active text in an output.

A door says what it lets people see; logs, threads and warnings are looked at for all doors alike.
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import resource
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from rollbook.genesys.program import console
from tests.helpers.hostile import FORGED, MARKUP, active

# Megabytes of a process, and how many of them it has before its first case.
MOST_MEMORY: Final = 250
_PLAIN: Final = 90
# Seconds of the processor, seconds.
MOST_CPU: Final = 10.0
MOST_TIME: Final = 120.0
# What must be seen nowhere: each secret that the doors are given has this in it.
SECRET: Final = "the-secret-of-this-run"
_CLEAR: Final = Path("/proc/self/clear_refs")


class Hang(BaseException):
    """A case took too long. No Exception: nobody takes it for one of theirs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, and how to see it again."""

    door: str
    seed: int
    case: int
    what: str

    def __str__(self) -> str:
        return (
            f"{self.door}: {self.what}\n    again: python tests/fuzz.py --door {self.door} --seed {self.seed}"
            f" --case {self.case}"
        )


@dataclass(slots=True)
class Output:
    """What people may see of a case. pages: HTML, which a browser would show."""

    texts: Sequence[str] = ()
    pages: Sequence[str] = ()
    # The lines that may begin with a time and a level: the log's own.
    lines: Sequence[str] = field(default_factory=list)


class Judge:
    """Watches cases. `watch` around each; what is wrong with it is in `wrong` afterwards."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self._log = io.StringIO()
        self._handler = logging.StreamHandler(self._log)
        self._handler.setFormatter(console.Lines("%(levelname)s %(name)s %(message)s"))
        self._aside: list[str] = []

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """See logs, threads' exceptions and hangs meanwhile."""
        root = logging.getLogger()
        before, handlers = root.level, list(root.handlers)
        root.handlers = [self._handler]
        root.setLevel(logging.INFO)
        raised, unraisable = threading.excepthook, sys.unraisablehook
        threading.excepthook = lambda seen: self._aside.append(f"in a thread: {_where(seen.exc_value)}")
        sys.unraisablehook = lambda seen: self._aside.append(f"where nobody could take it: {_where(seen.exc_value)}")
        alarms = [signal.signal(number, self._hangs) for number in (signal.SIGPROF, signal.SIGALRM)]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for kind in (RuntimeWarning, ResourceWarning, UserWarning):
                    warnings.simplefilter("error", kind)
                yield
        finally:
            for number, former in zip((signal.SIGPROF, signal.SIGALRM), alarms, strict=True):
                signal.signal(number, former)
            threading.excepthook, sys.unraisablehook = raised, unraisable
            root.handlers = handlers
            root.setLevel(before)

    @staticmethod
    def _hangs(number: int, frame: FrameType | None) -> None:
        raise Hang(f"it took more than {MOST_CPU if number == signal.SIGPROF else MOST_TIME:.0f} s")

    def watch(self, put: Callable[[], Output | None], foreseen: tuple[type[Exception], ...]) -> list[str]:
        """Do a case; answers what was wrong with it."""
        self._log.seek(0)
        self._log.truncate()
        self._aside.clear()
        found: list[str] = []
        forget_peak()
        before = peak()
        signal.setitimer(signal.ITIMER_PROF, MOST_CPU)
        signal.setitimer(signal.ITIMER_REAL, MOST_TIME)
        try:
            seen = put()
        except foreseen as error:
            seen = Output([f"{type(error).__name__}: {console_line(error)}"])
        except Hang as error:
            seen, found = None, [f"{error}: {_place(error)}"]
        except (Exception, SystemExit) as error:
            seen, found = None, [_where(error)]
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        logged = self._log.getvalue()
        if "Traceback (most recent call last)" in logged:
            found.append(f"a traceback in the log: {logged.strip()[:500]!r} … {logged.strip()[-500:]!r}")
        found += self._aside
        texts = [logged, *(seen.texts if seen else ()), *(seen.pages if seen else ())]
        for text in texts:
            if SECRET in text:
                found.append(f"a secret is shown: {_around(text, SECRET)}")
            if bad := active(text):
                found.append(f"active text is shown ({', '.join(map(repr, sorted(bad)))}): {_around(text, min(bad))}")
            if any(line.startswith(FORGED) for line in text.splitlines()):
                found.append(f"a line is forged: {_around(text, FORGED)}")
        for page in seen.pages if seen else ():
            found += [f"markup of somebody's: {_around(page, each)}" for each in MARKUP if each in page]
        if (size := peak() - before) > MOST_MEMORY - _PLAIN:
            found.append(f"it took {size:.0f} MB of memory")
            gc.collect()
        return found


def console_line(error: BaseException) -> str:
    """The line that an error becomes."""
    from rollbook.genesys.program.inert import inert

    return inert(" ".join(str(error).split()))


def peak() -> float:
    """The most memory that this process had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak() -> None:
    """Let the next case have a peak of its own, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")


def _where(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {str(error)[:200]!r} {_place(error)}"


def _place(error: BaseException | None) -> str:
    frames: list[Any] = traceback.extract_tb(error.__traceback__) if error is not None else []
    return " < ".join(f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in reversed(frames[-6:]))


def _around(text: str, part: str) -> str:
    at = text.find(part)
    return repr(text[max(at - 80, 0) : at + 80])
