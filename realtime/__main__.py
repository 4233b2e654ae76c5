"""`python -m realtime` is `rollbook run`."""

from realtime.commands.options import run
from rollbook.genesys.program import console

if __name__ == "__main__":
    console.main(run, name="rollbook run")
