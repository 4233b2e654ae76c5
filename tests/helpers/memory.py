"""Memory that some code keeps, beside whatever else the process does meanwhile."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def traced_memory(*places: str) -> Iterator[Callable[[], int]]:
    """Trace what is allocated within the block. After it, the function gives the bytes that are kept by those places.

    A place is a folder or a file. Threads that earlier tests have left allocate as well, in other places.
    """
    kept = 0
    tracemalloc.start()
    try:
        yield lambda: kept
        gc.collect()
        patterns = [pattern for place in places for pattern in (f"*/{place}", f"*/{place}/*")]
        traces = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, pattern) for pattern in patterns])
        kept = sum(trace.size for trace in traces.traces)
    finally:
        tracemalloc.stop()
