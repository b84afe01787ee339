"""NinjaOne's scripts, jobs and activities."""

from typing import TYPE_CHECKING

import attrs

from msp_lab import ninjaone_shapes as shapes
from msp_lab.chance import uid
from msp_lab.fleet import NINJAONE
from msp_lab.web import Call, Refusal, Reply, reply, whole
from msp_lab.world import Job

if TYPE_CHECKING:
    from msp_lab.ninjaone import NinjaOne


@attrs.frozen(kw_only=True)
class Script:
    """A script of the library; without `text` it runs the parameters it is given."""

    id: int
    kind: str
    name: str
    language: str
    families: tuple[str, ...]
    text: str | None = None

    @property
    def uid(self) -> str:
        return uid(9200, self.id)


LIBRARY = (
    Script(
        id=41,
        kind="SCRIPT",
        name="Run PowerShell Command",
        language="powershell",
        families=("windows",),
    ),
    Script(
        id=42,
        kind="SCRIPT",
        name="Run Shell Command",
        language="sh",
        families=("linux", "mac"),
    ),
    Script(
        id=43,
        kind="SCRIPT",
        name="Processor Load",
        language="powershell",
        families=("windows",),
        text="(Get-CimInstance Win32_Processor).LoadPercentage",
    ),
    Script(
        id=44,
        kind="ACTION",
        name="Restart Print Spooler",
        language="native",
        families=("windows",),
        text="Restart-Service Spooler",
    ),
)
_SYSTEMS = {"windows": "Windows", "linux": "Linux", "mac": "Mac"}


class Scripts:
    """Offers the library, runs scripts, and tells about them as activities and jobs."""

    def __init__(self, vendor: "NinjaOne") -> None:
        self._vendor = vendor

    def add_routes(self) -> None:
        add = self._vendor.add
        add("GET", "/v2/automation/scripts", self._library)
        add("GET", "/v2/device/{id}/scripting/options", self._options)
        add("POST", "/v2/device/{id}/script/run", self._run, scope="control")
        add("GET", "/v2/activities", self._activities)
        add("GET", "/v2/device/{id}/activities", self._device_activities)
        add("GET", "/v2/jobs", self._jobs)
        add("GET", "/v2/device/{id}/jobs", self._device_jobs)

    def _library(self, _: Call) -> Reply:
        return reply(
            [
                {
                    "id": script.id,
                    "name": script.name,
                    "description": script.text or "Runs the command given as parameters.",
                    "active": True,
                    "language": script.language,
                    "architecture": ["64"],
                    "operatingSystems": [_SYSTEMS[family] for family in script.families],
                    "scriptParameters": [] if script.text else ["command"],
                    "createdOn": shapes.CREATED,
                    "updatedOn": shapes.CREATED,
                }
                for script in LIBRARY
                if script.kind == "SCRIPT"
            ]
        )

    def _options(self, call: Call) -> Reply:
        family = self._vendor.view(call).device.system.family
        return reply(
            {
                "categories": [{"id": 1, "name": "General", "internal": False}],
                "scripts": [
                    {
                        "type": script.kind,
                        **({"id": script.id} if script.kind == "SCRIPT" else {"uid": script.uid}),
                        "name": script.name,
                        "language": script.language,
                        "description": script.text or "Runs the command given as parameters.",
                        "architecture": ["64"],
                        "categoryId": 1,
                    }
                    for script in LIBRARY
                    if family in script.families
                ],
                "credentials": {"roles": ["system", "loggedonuser"], "credentials": []},
            }
        )

    def _run(self, call: Call) -> Reply:
        view, wanted = self._vendor.view(call), call.json_object()
        kind = wanted.get("type")
        script = next(
            (
                s
                for s in LIBRARY
                if s.kind == kind
                and wanted.get("id" if kind == "SCRIPT" else "uid") in (s.id, s.uid)
            ),
            None,
        )
        if script is None:
            raise Refusal(404, "Script not found")
        if view.device.system.family not in script.families:
            raise Refusal(400, "The script does not support this device")
        job = self._vendor.world.run(
            view,
            vendor=NINJAONE,
            title=script.name,
            text=script.text or str(wanted.get("parameters", "")),
            extra={"script": script.id},
        )
        self._vendor.activities.start(job)
        return Reply(status=204)

    def _select(self, call: Call, device: int | None, type_name: str) -> list[dict[str, object]]:
        older = whole(call.query.get("olderThan"), 2**31 - 1)
        newer = whole(call.query.get("newerThan"), 0)
        exact = {
            "activityType": call.query.get(type_name),
            "statusCode": call.query.get("status"),
            "seriesUid": call.query.get("seriesUid"),
            "sourceConfigUid": call.query.get("sourceConfigUid"),
            "deviceId": device,
        }
        rows = self._vendor.activities.rows()
        size = whole(call.query.get("pageSize"), 200, low=10, high=1000)
        # A row's id is its place in the log, from 1.
        found = [
            row
            for row in reversed(rows[newer : max(0, older - 1)])
            if all(value in (None, row.get(key)) for key, value in exact.items())
        ]
        # Polling forward must not skip: the page next to `newerThan` is the oldest one.
        return found[-size:] if "newerThan" in call.query else found[:size]

    def _activities(self, call: Call) -> Reply:
        found = self._select(call, None, "type")
        if call.query.get("df"):
            known = {v.device.number + shapes.DEVICE_OFFSET for v in self._vendor.filtered(call)}
            found = [row for row in found if row["deviceId"] in known]
        return reply({"lastActivityId": self._last(), "activities": found})

    def _last(self) -> int:
        return len(self._vendor.activities.rows())

    def _device_activities(self, call: Call) -> Reply:
        device = self._vendor.view(call).device.number + shapes.DEVICE_OFFSET
        found = self._select(call, device, "activityType")
        return reply({"lastActivityId": self._last(), "activities": found})

    def _job(self, job: Job) -> dict[str, object]:
        return {
            "uid": job.uid,
            "deviceId": job.device.number + shapes.DEVICE_OFFSET,
            "message": f"Run script '{job.title}'",
            "createTime": shapes.epoch(job.queued_at),
            "updateTime": shapes.epoch(job.queued_at),
            "sourceName": job.title,
            "subject": job.title,
            "jobStatus": "START_REQUESTED" if job.ready_at == float("inf") else "IN_PROCESS",
            "jobType": "ACTION",
        }

    def _running(self, device: int | None) -> Reply:
        world = self._vendor.world
        return reply(
            [
                self._job(job)
                for job in world.jobs
                if job.vendor == NINJAONE
                and not world.finished(job)
                and device in (None, job.device.number)
            ]
        )

    def _jobs(self, _: Call) -> Reply:
        return self._running(None)

    def _device_jobs(self, call: Call) -> Reply:
        return self._running(self._vendor.view(call).device.number)
