"""What every test gets: Hypothesis without timings (a slow machine is no failure), and its share of the cores."""

import gc
import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "rollbook", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("rollbook")


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_xdist_auto_num_workers() -> int:
    """Number of processes for `-n auto`: one more than there are cores, because many tests wait for a program."""
    return (os.cpu_count() or 1) + 1
