"""A clock that moves only when it is told to."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)


class FixedClock:
    """Stands still at `start`; hand it to a toolkit as `clock`."""

    def __init__(self, start: datetime = START) -> None:
        if start.tzinfo is None:
            message = "start needs a time zone"
            raise ValueError(message)
        self.now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        return self.now

    def jump(self, by: timedelta) -> datetime:
        """Move by `by`, which may be negative as when a machine's clock is set back; return the new time."""
        self.now += by
        return self.now
