"""`python -m realtime` is `rollbook run`."""

from genesys import console
from realtime.cli import run

if __name__ == "__main__":
    console.main(run, name="rollbook run")
