"""Numbers for CloudWatch in its embedded metric format: a line in a function's log, and no request for it.

It knows how such a line is written, not what is counted. Outside a function it says nothing.
"""

from __future__ import annotations

import json
import os
import sys
import time


def count(**numbers: int) -> None:
    """`count(FailedWindows=0)`: counts of the namespace `rollbook`, for this function."""
    name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
    if not name:
        return
    metric = {
        "Namespace": "rollbook",
        "Dimensions": [["FunctionName"]],
        "Metrics": [{"Name": counted, "Unit": "Count"} for counted in numbers],
    }
    metadata = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metric]}
    sys.stdout.write(json.dumps({"_aws": metadata, "FunctionName": name, **numbers}) + "\n")
    sys.stdout.flush()
