"""Random fault scripts against the daemon as a real process (tests/faults.py runs as many as asked)."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests import faults

pytestmark = pytest.mark.process

# Seeds that found something once are kept, whatever else is tried.
SCRIPTS = int(os.environ.get("ROLLBOOK_FAULTS", "10"))
AT_ONCE = 3


def test_a_script_is_made_of_its_seed() -> None:
    """The same seed is the same script, another is another."""
    assert faults.script(7) == faults.script(7)
    assert faults.script(7) != faults.script(8)


async def test_whatever_goes_wrong_the_store_ends_as_the_truth() -> None:
    """After each script and a reconcile: every conversation and row once, coverage kept its word, SIGTERM ended well."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(seed: int) -> str:
        async with turns:
            run, _, wrong = await faults.one(seed, seconds=3.0)
        return f"seed {seed}: {wrong}\n" + "\n".join(map(str, run.steps)) if wrong else ""

    wrong = [told for told in await asyncio.gather(*map(one, range(1, SCRIPTS + 1))) if told]
    assert not wrong, "\n".join(wrong)
