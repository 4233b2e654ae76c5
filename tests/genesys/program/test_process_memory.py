"""The process and its memory."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
from rollbook.genesys.program.process_memory import give_back
def resident():
    return int(open("/proc/self/status").read().partition("VmRSS:")[2].split()[0]) // 1024
kept, freed = [], []
for _ in range(2_000):
    freed.append(bytearray(60_000))
    kept.append(bytearray(600))
del freed
before = resident()
give_back()
print(before, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's heap")
def test_what_is_free_between_what_is_used_is_given_back() -> None:
    """A heap with holes, as a round leaves it: nine tenths of it go back to the system."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, after = map(int, ran.stdout.split())
    assert before > 100
    assert after < before / 2


COLLECTOR = """
import gc
from rollbook.genesys.program.process_memory import tune_collector
before = gc.get_threshold()[0]
tune_collector()
print(before, gc.get_threshold()[0], gc.get_freeze_count())
"""


def test_the_collector_looks_rarely() -> None:
    """In a process of its own, because it is a setting of the process."""
    ran = subprocess.run([sys.executable, "-c", COLLECTOR], capture_output=True, text=True, check=True)
    before, after, frozen = map(int, ran.stdout.split())
    assert after >= 100 * before
    assert frozen > 1_000
