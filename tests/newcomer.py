"""A newcomer's path, timed: from a fresh clone, by two commands of the README, to a page with a proven window.

    python tests/newcomer.py [--keep-cache]

Clones this repository into a temporary folder, and there runs what the README says, word for word: the first installs
into a new virtual environment and runs the demo, the second shows the page of what it has made. Packages come from the
index, as they do for a newcomer (with --keep-cache, from pip's cache). The page is asked until it shows a proven window.
Printed: the seconds of each step, and all of them. No browser is started. Exit status 1 if it took longer than BAR.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).parent.parent
BAR = 90.0  # seconds
_PATIENCE = 60.0  # seconds for a page that does not come
# The legend of the page's band: a verdict, and how many windows have it.
_PROVEN = re.compile(r"(open|complete|settled)</span> <strong>[1-9]")


def commands(readme: str) -> list[str]:
    """The README's first command, and the one that shows what that has made."""
    found = re.search(r"```sh\n(.+?)\n.*?`(\S+rollbook page .+?)`", readme, re.DOTALL)
    assert found is not None, "the README has no such commands"
    return [found[1], found[2]]


def steps(command: str) -> list[list[str]]:
    """The programs that a command runs one after the other, each with its arguments."""
    return [shlex.split(part) for part in command.split(" && ")]


def main() -> int:
    """Walk the path."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="newcomer-") as folder:
        clone = Path(folder) / "rollbook"
        # What a newcomer's shell has: nothing of the environment that this runs in.
        env = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ROLLBOOK", "VIRTUAL"))
        }
        env["BROWSER"] = "true"  # the program that is asked to show the page
        if "--keep-cache" not in sys.argv:
            env["PIP_NO_CACHE_DIR"] = "1"
        with timed("git clone"):
            subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ROOT}", clone], check=True)
        first, second = commands((clone / "README.md").read_text())
        print(f"$ {first}")
        for words in steps(first):
            with timed(shlex.join(words)):
                subprocess.run(words, cwd=clone, env=env, check=True, stdout=subprocess.DEVNULL)
        print(f"$ {second}")
        [words] = steps(second)
        with timed("until the page shows a proven window"), shown(words, clone, env) as address:
            text = page_with_a_proof(address)
        took = time.monotonic() - began
    print(f"{took:7.1f} s  in all (bar {BAR:.0f} s). The page begins: {heading(text)}")
    return 0 if took <= BAR else 1


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Print how long something took."""
    began = time.monotonic()
    yield
    print(f"{time.monotonic() - began:7.1f} s  {name}", flush=True)


@contextmanager
def shown(words: list[str], folder: Path, env: dict[str, str]) -> Iterator[str]:
    """The address that a command says that it shows the page at; the command is ended afterwards, by its own id."""
    process = subprocess.Popen(words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            if found := re.search(r"http://\S+", line):
                yield found[0]
                break
        else:
            raise SystemExit(f"{shlex.join(words)} says no address:\n{said}")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=_PATIENCE)


def page_with_a_proof(address: str) -> str:
    """The page, once it shows a proven window."""
    until = time.monotonic() + _PATIENCE
    text = "nothing"
    while time.monotonic() < until:
        try:
            with urlopen(address, timeout=_PATIENCE) as answer:
                text = answer.read().decode()
        except URLError:
            text = "nothing"
        if _PROVEN.search(text):
            return text
        time.sleep(0.1)
    raise SystemExit(f"{address} shows no proven window, but: {text[:2_000]}")


def heading(html: str) -> str:
    """The page's first line."""
    found = re.search(r"<h1>(.*?)</h1>", html)
    return found[1] if found else "nothing"


if __name__ == "__main__":
    sys.exit(main())
