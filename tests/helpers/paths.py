"""Paths of the repository that tests read."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ROOT / "tests" / "data"
EXAMPLES: Final = DATA / "examples"
