"""The process, closed to others; in a process of its own, because it cannot be opened again."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, json, os, resource, sys
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
from rollbook.genesys.program import console
from rollbook.genesys.program.private_process import allow_files

def work():
    allow_files()
    print(json.dumps({
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == "linux" else 0,
        "umask": os.umask(0),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "most": hard,
    }))

console.run(work)
"""


@pytest.mark.process
def test_a_command_closes_its_process() -> None:
    """While a command works, it can leave no core, lets nobody look in, makes private files, and may open many."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    assert found["core"] == [0, 0]
    assert found["dumpable"] == 0
    assert found["umask"] & 0o077 == 0o077
    assert found["files"] == (min(16_384, found["most"]) if found["most"] > 0 else 16_384)
