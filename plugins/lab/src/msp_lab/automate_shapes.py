"""The rows of ConnectWise Automate, field by field, made from the lab's clients and devices."""

from datetime import datetime

import attrs

from msp_lab import story
from msp_lab.automate_lists import Fields, Listing
from msp_lab.catalog import Service
from msp_lab.chance import mix
from msp_lab.fleet import Client, Site
from msp_lab.story import Episode
from msp_lab.world import Job, View

MIB = 1024**2
ENROLLED = datetime.fromisoformat("2023-11-14T22:13:20+00:00")

_SEVERITIES = {story.WARNING: (2, "Warning"), story.CRITICAL: (3, "Critical")}
MONITORS = {
    story.DISK: (77, "LT - Drive Space"),
    story.SERVICE: (78, "LT - Services Stopped"),
    story.CPU: (79, "LT - CPU Usage"),
    story.MEMORY: (80, "LT - Memory Usage"),
    story.OFFLINE: (81, "LT - Offline Agents"),
}


@attrs.frozen(kw_only=True)
class Drive:
    view: View
    index: int


@attrs.frozen(kw_only=True)
class RunningService:
    view: View
    service: Service
    index: int


@attrs.frozen(kw_only=True)
class Alert:
    view: View
    episode: Episode
    raised: datetime
    now: datetime


@attrs.frozen(kw_only=True)
class CommandKind:
    id: int
    name: str
    description: str
    level: int = 1


@attrs.frozen(kw_only=True)
class Command:
    job: Job
    kind: CommandKind
    status: str
    done: bool


@attrs.frozen(kw_only=True)
class NetworkThing:
    site: Site
    client: Client
    index: int
    at: datetime


COMMAND_KINDS = (
    CommandKind(id=2, name="Execute Console", description="Run a console command"),
    CommandKind(id=123, name="Resend System Information", description="Send the inventory again"),
)
NETWORK_KINDS = (
    (1, "Switch", "Cisco", "CBS350-24T"),
    (2, "Firewall", "Fortinet", "FortiGate 60F"),
    (3, "Printer", "HP", "LaserJet M507"),
)


def client_ref(client: Client) -> dict[str, object]:
    return {"Id": str(client.number), "Name": client.name}


def site_ref(site: Site) -> dict[str, object]:
    return {"Id": site.number, "Name": site.name}


def alert_id(episode: Episode) -> int:
    return mix(int(episode.uid[:8], 16), 5) & 0x7FFFFFFF


CLIENT_FIELDS: Fields[Client] = {
    "Id": lambda c: str(c.number),
    "Name": lambda c: c.name,
    "Company": lambda c: c.name,
    "FirstName": lambda _: "Office",
    "LastName": lambda _: "Manager",
    "Address1": lambda c: c.sites[0].street,
    "Address2": lambda _: "",
    "City": lambda c: c.sites[0].city,
    "State": lambda c: c.sites[0].state,
    "ZipCode": lambda c: f"{10000 + c.number}",
    "Country": lambda _: "USA",
    "PhoneNumber": lambda c: f"555-01{c.number % 100:02d}",
    "FaxNumber": lambda _: "",
    "Comment": lambda c: f"Managed by the lab ({c.id})",
    "ExternalId": lambda _: "0",
    "UsesInHouseSupportStaff": lambda _: False,
    "IsHiddenFromAllInclusiveGroup": lambda _: False,
    "Locations": lambda c: [site_ref(site) for site in c.sites],
}
CLIENTS: Listing[Client] = Listing(CLIENT_FIELDS, "Id")


@attrs.frozen(kw_only=True)
class Place:
    site: Site
    client: Client


LOCATIONS: Listing[Place] = Listing(
    {
        "Id": lambda p: p.site.number,
        "Client": lambda p: client_ref(p.client),
        "Name": lambda p: p.site.name,
        "Address1": lambda p: p.site.street,
        "City": lambda p: p.site.city,
        "State": lambda p: p.site.state,
        "ZipCode": lambda p: f"{10000 + p.client.number}",
        "Country": lambda _: "USA",
        "Comments": lambda _: "",
        "ProbeId": lambda _: 0,
        "ExternalId": lambda _: 0,
        # Real answers carry these secrets too: callers must ask to leave them out.
        "ScriptUsername": lambda p: f"{p.client.prefix.lower()}\\deploy",
        "ScriptPassword": lambda p: f"lab-location-{mix(p.site.number, 6):016x}",
    },
    "Id",
)


DRIVES: Listing[Drive] = Listing(
    {
        "DriveId": lambda d: d.view.device.number * 8 + d.index,
        "ComputerId": lambda d: d.view.device.number,
        "Letter": lambda d: d.view.device.volumes[d.index].name.rstrip(":"),
        "Size": lambda d: d.view.device.volumes[d.index].size_bytes // MIB,
        "FreeSpace": lambda d: d.view.free_bytes(d.index) // MIB,
        "FileSystem": lambda d: d.view.device.volumes[d.index].file_system,
        "Model": lambda _: "SAMSUNG MZ7L3960",
        "SmartStatus": lambda _: "OK",
        "IsMissing": lambda _: False,
        "VolumeName": lambda d: d.view.device.volumes[d.index].label,
        "IsSolidState": lambda _: True,
        "IsInternal": lambda _: True,
        "DateLastInventoried": lambda d: d.view.seen_at,
    },
    "DriveId",
)


def _state(row: RunningService) -> str:
    running = row.service.automatic and row.service.name not in row.view.stopped
    return "Running" if running else "Stopped"


SERVICES: Listing[RunningService] = Listing(
    {
        "ComputerServiceId": lambda s: s.view.device.number * 100 + s.index,
        "ComputerId": lambda s: s.view.device.number,
        "Name": lambda s: s.service.name,
        "Description": lambda s: s.service.title,
        "State": _state,
        "Startup": lambda s: "Auto" if s.service.automatic else "Manual",
        "PathName": lambda _: "",
        "ServiceType": lambda _: "Own Process",
        "Username": lambda s: s.service.account,
        "DateLastInventoried": lambda s: s.view.seen_at,
        "RunLevels": lambda _: "",
        "Classification": lambda _: {"Id": 1, "Name": "Normal"},
    },
    "ComputerServiceId",
)


def _text(alert: Alert) -> str:
    percent = round(alert.episode.value * 100)
    return {
        story.DISK: f"Drive {alert.episode.subject} below {100 - percent + 1}% free",
        story.SERVICE: f"Service {alert.episode.subject} is not running",
        story.CPU: f"CPU usage is {percent}%",
        story.MEMORY: f"Memory usage is {percent}%",
        story.OFFLINE: "Agent has not checked in",
    }[alert.episode.kind]


def _age(alert: Alert) -> str:
    hours = int((alert.now - alert.raised).total_seconds() // 3600)
    return f"{hours // 24}d {hours % 24}h" if hours >= 24 else f"{hours}h"


ALERTS: Listing[Alert] = Listing(
    {
        "AlertId": lambda a: alert_id(a.episode),
        "Client": lambda a: {
            "Id": a.view.device.client.number,
            "Name": a.view.device.client.name,
        },
        "Computer": lambda a: {
            "Id": a.view.device.number,
            "Name": a.view.device.hostname,
            "ComputerStatus": "Online" if a.view.online else "Offline",
        },
        "Device": lambda _: {"Id": 0, "Name": ""},
        "Location": lambda a: site_ref(a.view.device.site),
        "Monitor": lambda a: dict(zip(("Id", "Name"), MONITORS[a.episode.kind], strict=True)),
        "AlertDate": lambda a: a.raised,
        "Severity": lambda a: dict(
            zip(("Id", "Name"), _SEVERITIES[a.episode.severity], strict=True)
        ),
        "Source": lambda _: "Monitor",
        "Message": _text,
        "FieldName": lambda a: a.episode.subject,
        "AlertAge": _age,
    },
    "AlertId",
)

COMMANDS: Listing[CommandKind] = Listing(
    {
        "Id": lambda k: str(k.id),
        "Name": lambda k: k.name,
        "Description": lambda k: k.description,
        "Level": lambda k: k.level,
    },
    "Id",
)


def _parameters(command: Command) -> list[str]:
    found = command.job.extra["parameters"]
    return [str(item) for item in found] if isinstance(found, list) else []


EXECUTED: Listing[Command] = Listing(
    {
        "Id": lambda c: c.job.number,
        "ComputerId": lambda c: c.job.device.number,
        "Command": lambda c: COMMANDS.row(c.kind),
        "Status": lambda c: c.status,
        "Parameters": _parameters,
        "Output": lambda c: c.job.output if c.done else "",
        "Fastalk": lambda _: True,
        "DateLastInventoried": lambda c: c.job.queued_at,
    },
    "Id",
)
HISTORY: Listing[Command] = Listing(
    {
        "Id": lambda c: c.job.number,
        "ComputerId": lambda c: c.job.device.number,
        "DateExecuted": lambda c: c.job.queued_at,
        "DateFinished": lambda c: c.job.queued_at,
        "CommandId": lambda c: c.kind.id,
        "Command": lambda c: c.kind.name,
        "Status": lambda c: c.status,
        "Output": lambda c: c.job.output,
        "Parameters": lambda c: " ".join(_parameters(c)),
        "User": lambda _: "lab-api",
    },
    "Id",
)


def _network_kind(thing: NetworkThing) -> tuple[int, str, str, str]:
    return NETWORK_KINDS[thing.index]


NETWORK_DEVICES: Listing[NetworkThing] = Listing(
    {
        "Id": lambda n: str(n.site.number * 10 + n.index),
        "Name": lambda n: f"{n.client.prefix}-{_network_kind(n)[1].upper()}{n.site.number}",
        "FriendlyName": lambda _: "",
        "Client": lambda n: client_ref(n.client),
        "Location": lambda n: site_ref(n.site),
        "LocalIPAddress": lambda n: f"10.{n.client.number % 250}.254.{n.index + 1}",
        "MACAddress": lambda n: (
            f"02-15-5E-{n.site.number >> 8:02X}-{n.site.number & 255:02X}-{n.index:02X}"
        ),
        "Status": lambda _: "Online",
        "DeviceType": lambda n: {
            "Id": _network_kind(n)[0],
            "Name": _network_kind(n)[1],
        },
        "ManufacturerName": lambda n: _network_kind(n)[2],
        "ModelName": lambda n: _network_kind(n)[3],
        "LastContact": lambda n: n.at,
        "Uptime": lambda _: 3600 * 24 * 30,
        "SNMPCommunityGet": lambda n: f"lab-community-{mix(n.site.number, 8):016x}",
    },
    "Id",
)
