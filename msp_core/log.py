"""Logging: the standard library, as text or JSON lines, with a correlation id; secrets masked in the finished line."""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from msp_core.correlation import correlation_id
from msp_core.secrets import mask

_OURS = "msp"


class TextFormatter(logging.Formatter):
    """`time level logger [correlation] message`, masked, on one line per record unless there is a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        line = f"{stamp} {record.levelname:<7} {record.name} [{correlation_id() or '-'}] {_one_line(record)}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return mask(line)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: `time level logger correlation_id message` and `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "correlation_id": correlation_id(),
            "message": mask(record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = mask(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


def _one_line(record: logging.LogRecord) -> str:
    """Keep what a device or vendor said from starting a line of its own."""
    text = record.getMessage()
    return text.replace("\r", "\\r").replace("\n", "\\n")


def configure(
    level: str, *, style: str = "text", path: Path | None = None, stream: TextIO | None = None
) -> None:
    """Send records to stderr, or to a file, from this level on; replaces what an earlier call set up."""
    handler: logging.Handler
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    else:
        handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    for old in [h for h in root.handlers if h.get_name() == _OURS]:
        root.removeHandler(old)
        old.close()
    handler.set_name(_OURS)
    root.addHandler(handler)
    root.setLevel(level)
