"""`python -m reconcile` is `rollbook reconcile`."""

from reconcile.commands.options import reconcile
from rollbook.genesys.program import console

if __name__ == "__main__":
    console.main(reconcile, name="reconcile")
