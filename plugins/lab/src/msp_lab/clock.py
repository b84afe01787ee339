"""The lab's clock: it can be moved, and runs with real time only when nobody fixed it."""

import time
from datetime import UTC, datetime, timedelta

REPORT_INTERVAL = timedelta(minutes=5)


class LabClock:
    """Lab time, and the seconds that passed in the lab.

    Without `start` lab time is real time: to advance it means that the story began earlier, so that
    nothing the vendors say is ever in the future of those who ask. With `start` it stands still
    there until it is advanced. Either way waiting really helps: `elapsed()` counts real seconds
    plus the advanced ones, so commands finish and tokens expire in a standing lab too.
    """

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.tzinfo is None:
            raise ValueError("the lab's start needs a time zone")
        self.running = start is None
        self.start = (start or datetime.now(UTC).replace(microsecond=0)).astimezone(UTC)
        self._began = time.monotonic()
        self._advanced = timedelta()

    def now(self) -> datetime:
        passed = timedelta(seconds=time.monotonic() - self._began) if self.running else timedelta()
        return self.start + passed + self._advanced

    def elapsed(self) -> float:
        """Return the seconds since the lab began, real ones and advanced ones together."""
        return time.monotonic() - self._began + self._advanced.total_seconds()

    def advance(self, by: timedelta) -> datetime:
        """Let the fleet live through so much more and return the lab's time."""
        if by < timedelta():
            raise ValueError("lab time cannot go back")
        if self.running:
            self.start -= by
        self._advanced += by
        return self.now()

    def tick(self) -> int:
        """Return the number of whole report intervals since the start.

        Agents report every five minutes: what the vendors say changes with this number only,
        which lets answers be kept ready while they stay a function of state.
        """
        return int((self.now() - self.start) / REPORT_INTERVAL)

    def at(self, tick: int) -> datetime:
        return self.start + tick * REPORT_INTERVAL
