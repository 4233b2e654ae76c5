"""`python -m realtime` is `rollbook run`."""

from realtime.commands.run import run
from rollbook.genesys.program import console

if __name__ == "__main__":
    console.main(run, name="rollbook run")
