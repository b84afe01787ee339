"""NinjaOne's activity log: conditions that trigger and reset, scripts that start and complete."""

from datetime import datetime

import attrs

from msp_lab import ninjaone_shapes as shapes
from msp_lab import story
from msp_lab.chance import uid
from msp_lab.fleet import NINJAONE
from msp_lab.story import Episode
from msp_lab.world import Job, View, World

_SEVERITY = {
    story.WARNING: ("MODERATE", "MEDIUM"),
    story.CRITICAL: ("CRITICAL", "HIGH"),
}


@attrs.define(kw_only=True)
class _Open:
    view: View
    episode: Episode


class ActivityLog:
    """Numbers activities in the order in which they happened, as far as anybody looked."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows: list[dict[str, object]] = []
        self._open: dict[str, _Open] = {}
        self._moment: tuple[int, int] = (-1, -1)
        self._unfinished: list[Job] = []

    def rows(self) -> list[dict[str, object]]:
        """Return all activities up to now, oldest first."""
        if self._world.moment() != self._moment:
            self._moment = self._world.moment()
            self._note_conditions()
        waiting = []
        for job in self._unfinished:
            if self._world.finished(job):
                self._add_job(job, "COMPLETED")
            else:
                waiting.append(job)
        self._unfinished = waiting
        return self._rows

    def start(self, job: Job) -> None:
        self.rows()
        self._add_job(job, "START_REQUESTED")
        if job.ready_at != float("inf"):
            self._add_job(job, "STARTED")
        self._unfinished.append(job)

    def _note_conditions(self) -> None:
        current = {
            episode.uid: _Open(view=view, episode=episode)
            for view in self._world.views(NINJAONE)
            for episode in view.alerts
        }
        at = self._world.clock.at
        for alert_uid in [u for u in self._open if u not in current]:
            gone = self._open.pop(alert_uid)
            self._add_condition(gone, "RESET", at(self._moment[0]))
        fresh = [(u, entry) for u, entry in current.items() if u not in self._open]
        for alert_uid, entry in sorted(fresh, key=lambda item: item[1].episode.start):
            self._open[alert_uid] = entry
            self._add_condition(entry, "TRIGGERED", at(entry.episode.start))

    def _add(self, view_device: int, at: datetime, **rest: object) -> None:
        self._rows.append(
            {
                "id": len(self._rows) + 1,
                "activityTime": shapes.epoch(at),
                "deviceId": view_device + shapes.DEVICE_OFFSET,
                **rest,
            }
        )

    def _add_condition(self, entry: _Open, code: str, at: datetime) -> None:
        severity, priority = _SEVERITY[entry.episode.severity]
        self._add(
            entry.view.device.number,
            at,
            severity=severity,
            priority=priority,
            seriesUid=entry.episode.uid,
            activityType="CONDITION",
            statusCode=code,
            status=code.capitalize(),
            sourceConfigUid=shapes.config_uid(entry.episode),
            sourceName=shapes.condition_name(entry.episode),
            subject=entry.episode.subject,
            message=shapes.message(entry.episode),
            type="Condition",
        )

    def _add_job(self, job: Job, code: str) -> None:
        done: dict[str, object] = {}
        text = f"Run script '{job.title}': {code.replace('_', ' ').lower()}"
        if code == "COMPLETED":
            done = {
                "activityResult": "SUCCESS" if job.succeeded else "FAILURE",
                "data": {
                    "message": {
                        "code": "script_result",
                        "params": {
                            "output": job.output,
                            "exit_code": 0 if job.succeeded else 1,
                        },
                    }
                },
            }
            text = f"{text}. Output: {job.output}"
        self._add(
            job.device.number,
            self._world.clock.now(),
            severity="NONE",
            priority="NONE",
            seriesUid=job.uid,
            activityType="ACTION",
            statusCode=code,
            status=code.replace("_", " ").capitalize(),
            sourceConfigUid=uid(9100, int(str(job.extra.get("script", 0)))),
            sourceName=job.title,
            subject=job.title,
            message=text,
            type="Action",
            **done,
        )
