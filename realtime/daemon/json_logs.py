"""The daemon's logs as JSON, an object a line, for log collectors. It does not decide what is logged."""

from __future__ import annotations

import json
import logging

from rollbook.genesys.program.console import Lines
from rollbook.genesys.program.inert import inert_json


class JsonLines(Lines):
    """time (UTC), level, logger, message, and the traceback if there is an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as a line of JSON."""
        said = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return inert_json(json.dumps(said, ensure_ascii=False))


def use_json() -> None:
    """Let every handler of the root logger write JSON lines."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonLines())
