#!/usr/bin/env python3
"""Build the folder that the function on AWS runs from, and check it.

    python deploy/aws/package.py                        for AWS: Python 3.12 on x86_64, into build/lambda
    python deploy/aws/package.py --arch arm64
    python deploy/aws/package.py --here --check         for this interpreter; then try it, alone

boto3 is not in it: the function's runtime brings it. Needs pip and a package index, nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# What capture and reconciliation import. The rest of rollbook's dependencies belong to the daemon and the commands.
NEEDED = ("httpx", "msgspec", "sqlite-utils", "backports.zstd")
# The runtime's own boto3 finds these before its own ones, so they must be such as it takes.
SHARED = ("python-dateutil<3",)
# What a dependency asks for and nothing here uses: sqlite-utils' command that installs plug-ins.
UNUSED = ("pip", "pip-*.dist-info", "bin", "tests", "__pycache__", "*.pyi")
ROOMS = ("rollbook", "reconcile", "realtime")
PLATFORMS = {"x86_64": "manylinux2014_x86_64", "arm64": "manylinux2014_aarch64"}
LIMIT = 15_000_000

# Run without site-packages, so that whatever is not in the package is missed: one event, one batch, one dead letter,
# and everything that a reconciliation imports.
TRIAL = """
import json, sys
sys.path.insert(0, sys.argv[1])
from realtime.lambda_handler import handler
heavy = {"boto3", "botocore", "httpx", "apscheduler", "sqlite_utils", "click", "asyncio"} & set(sys.modules)
assert not heavy, heavy
event = json.loads(sys.argv[2])
told = handler(event)
assert told == {"events_new": 1, "events_repeated": 0, "dead_letters": 0}, told
batch = {"Records": [{"messageId": "a", "body": json.dumps(event)}, {"messageId": "b", "body": "no JSON"}]}
assert handler(batch) == {"batchItemFailures": []}
from rollbook.store.bodies import frames
assert frames.available(), "there is no zstd"
import rollbook.genesys.api.client, reconcile.due.rounds, reconcile.run.runner, reconcile.lambda_handler
import sysconfig
files = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
strange = [file for file in files if file and not file.startswith((sys.argv[1], sysconfig.get_path("stdlib")))]
strange += [file for file in files if "site-packages" in file]
assert not strange, strange
print("the handler stores an event, a batch and a dead letter, and can pack; the reconciler is imported")
"""
EVENT = {
    "version": "0",
    "id": "6efd5506-3fd6-09a1-5599-09ae48bd6dd8",
    "time": "2026-08-03T14:00:00Z",
    "resources": [],
    "detail-type": "v2.detail.events.conversation.{id}.customer.end",
    "account": "123456789012",
    "region": "us-east-1",
    "source": "aws.partner/genesys.com/cloud/3f1c7d52-0b2e-4f6e-9a44-6d1b2f0c9e10/rollbook",
    "detail": {
        "topicName": "v2.detail.events.conversation.7c1f0d6e-52f1-4c1b-9a6c-2b8f1f4f9d21.customer.end",
        "version": "2",
        "eventBody": {"eventTime": 1785765819600, "conversationId": "7c1f0d6e-52f1-4c1b-9a6c-2b8f1f4f9d21"},
    },
}


def requirements(python: str) -> list[str]:
    """The needed dependencies, as pyproject.toml bounds them, for a version of Python."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    needed = [line for line in listed if re.split(r"[<>=\[ ]", line)[0] in NEEDED]
    # pip would compare a condition with the Python that it runs on itself.
    return [line.partition(";")[0] for line in needed if _is_for(line.partition(";")[2], python)]


def _is_for(condition: str, python: str) -> bool:
    """Tell whether a dependency's condition, `python_version < 'X.Y'` or none, lets a version of Python in."""
    before = re.search(r"python_version < '(\d+)\.(\d+)'", condition)
    return before is None or tuple(map(int, python.split(".")[:2])) < (int(before[1]), int(before[2]))


def build(out: Path, *, python: str, arch: str, here: bool) -> None:
    """Fill the folder."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    where = [] if here else ["--platform", PLATFORMS[arch], "--python-version", python, "--implementation", "cp"]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-compile",
            "--only-binary=:all:",
            "--target",
            str(out),
            *where,
            *requirements(f"{sys.version_info[0]}.{sys.version_info[1]}" if here else python),
            *SHARED,
        ],
        check=True,
    )
    for room in ROOMS:
        shutil.copytree(ROOT / room, out / room, ignore=shutil.ignore_patterns("__pycache__", "demo.py", "simulator"))
    for rest in [one for pattern in UNUSED for one in out.rglob(pattern)]:
        if rest.is_dir():
            shutil.rmtree(rest)
        elif rest.exists():
            rest.unlink()


def size_of(folder: Path) -> int:
    """Bytes, unpacked."""
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())


def check(out: Path) -> None:
    """Run the handler from the folder and from nothing else."""
    with tempfile.TemporaryDirectory() as work:
        environment = {"ROLLBOOK_DB": f"{work}/a.db", "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-c", TRIAL, str(out), json.dumps(EVENT)],
            check=True,
            env=environment,
            cwd=work,
        )


def main() -> None:
    """Build, say how large it is, and try it if asked to."""
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--out", type=Path, default=ROOT / "build" / "lambda")
    words.add_argument("--python", default="3.12", help="the function's runtime")
    words.add_argument("--arch", choices=PLATFORMS, default="x86_64")
    words.add_argument("--here", action="store_true", help="for this interpreter instead")
    words.add_argument("--check", action="store_true", help="try it without any other package")
    given = words.parse_args()
    out = given.out.resolve()
    build(out, python=given.python, arch=given.arch, here=given.here)
    size = size_of(out)
    print(f"{out}: {size / 1e6:.1f} MB unpacked (limit {LIMIT / 1e6:.0f} MB)")
    if size >= LIMIT:
        raise SystemExit("the package is too large")
    if given.check:
        check(out)


if __name__ == "__main__":
    main()
