"""The correlation id of the current call: the same from the command to the HTTP request and the log line."""

import uuid
from contextvars import ContextVar

CURRENT: ContextVar[str] = ContextVar("msp_correlation_id", default="")


def correlation_id() -> str:
    """Return the id of the call this code runs for; empty outside a call."""
    return CURRENT.get()


def new_correlation_id() -> str:
    """Return a fresh id, short enough to read out on the phone."""
    return uuid.uuid4().hex[:12]
