"""`python -m reconcile` is `rollbook reconcile`."""

from genesys import console
from reconcile.cli import reconcile

if __name__ == "__main__":
    console.main(reconcile, name="reconcile")
