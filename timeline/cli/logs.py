"""What commands that go on say, as text for people or as lines of JSON for programs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

from timeline.cli.saying import printable_json, printable_lines, say


class LogFormat(StrEnum):
    """How the log, and all else that a command says, is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """From which level on log messages are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class _AsText(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


class _AsJson(logging.Formatter):
    """A line of JSON each: message, level, time, logger, and the traceback of an ``error``."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "message": record.getMessage(),
            "level": record.levelname.lower(),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "logger": record.name,
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return printable_json(json.dumps(told, ensure_ascii=False, separators=(",", ":")))


def set_up(form: LogFormat, level: LogLevel) -> Callable[[str], None]:
    """Has log messages of that level and above written to standard error; how to say what people should hear
    whatever the level, on standard output."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _AsJson() if form is LogFormat.JSON else _AsText("%(asctime)s %(levelname)s %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    if form is LogFormat.TEXT:
        return say
    own = _AsJson()

    def say_json(text: str) -> None:
        say(own.format(logging.LogRecord("timeline", logging.INFO, "", 0, text, (), None)))

    return say_json
