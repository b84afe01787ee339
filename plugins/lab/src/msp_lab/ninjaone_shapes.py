"""The JSON shapes of NinjaOne, made from the lab's clients and devices."""

from collections.abc import Iterator
from datetime import datetime

from msp_lab import story
from msp_lab.chance import uid
from msp_lab.fleet import Client, Device, Site
from msp_lab.story import Episode
from msp_lab.world import View

# The vendor numbers things in its own way: a machine of both vendors has two different ids.
DEVICE_OFFSET, ORG_OFFSET, SITE_OFFSET = 1000, 100, 200
CREATED = 1_700_000_000.0

_CLASSES = {
    ("windows", True): ("WINDOWS_SERVER", 201),
    ("windows", False): ("WINDOWS_WORKSTATION", 202),
    ("linux", True): ("LINUX_SERVER", 203),
    ("linux", False): ("LINUX_WORKSTATION", 204),
    ("mac", True): ("MAC_SERVER", 205),
    ("mac", False): ("MAC", 206),
}
_SOURCES = {
    (story.DISK, "windows"): "CONDITION_AGENT_DISK_FREE_SPACE",
    (story.DISK, "mac"): "CONDITION_AGENT_DISK_FREE_SPACE",
    (story.DISK, "linux"): "CONDITION_LINUX_DISK_FREE_SPACE",
    (story.SERVICE, "windows"): "CONDITION_WINDOWS_SERVICE_STATE_CHANGED",
    (story.SERVICE, "mac"): "CONDITION_MAC_DEAMON",
    (story.SERVICE, "linux"): "CONDITION_LINUX_Daemon",
}
_PLAIN_SOURCES = {
    story.CPU: "CONDITION_AGENT_CPU",
    story.MEMORY: "CONDITION_AGENT_MEMORY",
    story.OFFLINE: "AGENT_OFFLINE",
}
_CONDITION_NAMES = {
    story.DISK: "Disk free space low",
    story.SERVICE: "Service down",
    story.CPU: "CPU busy",
    story.MEMORY: "Memory low",
    story.OFFLINE: "Device down",
}


def epoch(at: datetime) -> float:
    """Return epoch seconds, the vendor's only form of time."""
    return at.timestamp()


def node_class(device: Device) -> str:
    return _CLASSES[(device.system.family, device.server)][0]


def role_id(device: Device) -> int:
    return _CLASSES[(device.system.family, device.server)][1]


def organization(client: Client) -> dict[str, object]:
    return {
        "id": client.number + ORG_OFFSET,
        "name": client.name,
        "description": f"Managed by the lab ({client.id})",
        "nodeApprovalMode": "AUTOMATIC",
        "tags": [],
    }


def location(site: Site, *, with_organization: bool) -> dict[str, object]:
    shape: dict[str, object] = {
        "id": site.number + SITE_OFFSET,
        "name": site.name,
        "address": f"{site.street}, {site.city}, {site.state}",
        "description": "",
    }
    if with_organization:
        shape["organizationId"] = site.client_number + ORG_OFFSET
    return shape


def organization_detailed(client: Client) -> dict[str, object]:
    return {
        **organization(client),
        "locations": [location(site, with_organization=False) for site in client.sites],
        "policies": [{"nodeRoleId": role, "policyId": role - 170} for _, role in _CLASSES.values()],
        "settings": {},
    }


def device_brief(view: View, now: float) -> dict[str, object]:
    device = view.device
    shape: dict[str, object] = {
        "id": device.number + DEVICE_OFFSET,
        "uid": uid(device.number, 7001),
        "organizationId": device.client.number + ORG_OFFSET,
        "locationId": device.site.number + SITE_OFFSET,
        "nodeClass": node_class(device),
        "nodeRoleId": role_id(device),
        "rolePolicyId": role_id(device) - 170,
        "approvalStatus": "APPROVED",
        "offline": not view.online,
        "displayName": device.hostname,
        "systemName": device.hostname,
        "dnsName": f"{device.hostname}.{device.domain}".lower(),
        "netbiosName": device.hostname[:15],
        "created": CREATED,
        "lastContact": epoch(view.seen_at),
        "lastUpdate": epoch(view.seen_at),
    }
    planned = view.maintenance
    if planned is not None and (planned.end is None or planned.end > now):
        shape["maintenance"] = {
            "status": "IN_MAINTENANCE" if planned.start <= now else "PENDING",
            "start": planned.start,
            **({} if planned.end is None else {"end": planned.end}),
        }
    return shape


def device_detailed(view: View, now: float) -> dict[str, object]:
    device = view.device
    return {
        **device_brief(view, now),
        "ipAddresses": [device.ip],
        "macAddresses": [device.mac],
        "publicIP": device.public_ip,
        "notes": [],
        "deviceType": "SERVER" if device.server else "WORKSTATION",
        "os": operating_system(view),
        "system": computer_system(view),
        "memory": {"capacity": device.memory_bytes},
        "processors": [processor(view)],
        "volumes": list(volumes(view)),
        "lastLoggedInUser": f"{device.client.prefix}\\{device.user}",
    }


def operating_system(view: View) -> dict[str, object]:
    system = view.device.system
    boot_seconds = view.reading.boot_hours * 3600
    return {
        "manufacturer": system.maker,
        "name": system.name,
        "architecture": "64-bit",
        "lastBootTime": epoch(view.at) - boot_seconds,
        "buildNumber": system.build,
        "releaseId": system.release,
        "locale": "en-US",
        "language": "en",
        "needsReboot": boot_seconds > 30 * 86400,
    }


def computer_system(view: View) -> dict[str, object]:
    device = view.device
    return {
        "name": device.hostname,
        "manufacturer": device.maker,
        "model": device.model,
        "biosSerialNumber": device.serial,
        "serialNumber": device.serial,
        "domain": device.domain,
        "domainRole": "Member Server" if device.server else "Member Workstation",
        "numberOfProcessors": 1,
        "totalPhysicalMemory": device.memory_bytes,
        "virtualMachine": device.virtual,
        "chassisType": "DESKTOP",
    }


def processor(view: View) -> dict[str, object]:
    return {
        "architecture": "x64",
        "maxClockSpeed": 3_000_000_000,
        "clockSpeed": 2_600_000_000,
        "name": "Intel(R) Xeon(R) Silver 4310 CPU @ 2.10GHz",
        "numCores": view.device.cores // 2,
        "numLogicalCores": view.device.cores,
    }


def volumes(view: View) -> Iterator[dict[str, object]]:
    for index, volume in enumerate(view.device.volumes):
        shape: dict[str, object] = {
            "name": volume.name,
            "label": volume.label,
            "deviceType": "Local Disk",
            "fileSystem": volume.file_system,
            "autoMount": True,
            "compressed": False,
            "capacity": volume.size_bytes,
            "freeSpace": view.free_bytes(index),
            "serialNumber": f"{view.device.number:04X}{index:04X}",
        }
        if volume.name.endswith(":"):
            shape["driveLetter"] = volume.name
        yield shape


def windows_services(view: View) -> Iterator[dict[str, object]]:
    if view.device.system.family != "windows":
        return
    for service in view.device.services:
        running = service.automatic and service.name not in view.stopped
        yield {
            "name": service.name,
            "displayName": service.title,
            "description": service.title,
            "startType": "AUTO_START" if service.automatic else "DEMAND_START",
            "userName": service.account,
            "state": "RUNNING" if running else "STOPPED",
        }


def device_health(view: View) -> dict[str, object]:
    severe = any(episode.severity == story.CRITICAL for episode in view.alerts)
    return {
        "deviceId": view.device.number + DEVICE_OFFSET,
        "alertCount": len(view.alerts),
        "activeJobCount": 0,
        "activeThreatsCount": 0,
        "quarantinedThreatsCount": 0,
        "blockedThreatsCount": 0,
        "pendingOSPatchesCount": view.device.number % 4,
        "failedOSPatchesCount": 0,
        "pendingSoftwarePatchesCount": 0,
        "failedSoftwarePatchesCount": 0,
        "installationIssuesCount": 0,
        "offline": not view.online,
        "parentOffline": False,
        "healthStatus": "UNHEALTHY" if severe else "NEEDS_ATTENTION" if view.alerts else "HEALTHY",
    }


def condition_name(episode: Episode) -> str:
    return _CONDITION_NAMES[episode.kind]


def message(episode: Episode) -> str:
    """Say what an alert is about, as the vendor's message texts do."""
    percent = round(episode.value * 100)
    return {
        story.DISK: f"Disk free space less than {100 - percent + 1}% on {episode.subject}",
        story.SERVICE: f"Service '{episode.subject}' is stopped",
        story.CPU: f"CPU usage above 90% (now {percent}%)",
        story.MEMORY: f"Memory usage above 90% (now {percent}%)",
        story.OFFLINE: "Device has been offline",
    }[episode.kind]


def source_type(device: Device, episode: Episode) -> str:
    return _PLAIN_SOURCES.get(episode.kind) or _SOURCES[(episode.kind, device.system.family)]


def alert(view: View, episode: Episode, created: datetime) -> dict[str, object]:
    # No severity here: the vendor keeps it in the activity of the same series.
    return {
        "uid": episode.uid,
        "deviceId": view.device.number + DEVICE_OFFSET,
        "message": message(episode),
        "createTime": epoch(created),
        "updateTime": epoch(created),
        "sourceType": source_type(view.device, episode),
        "sourceConfigUid": config_uid(episode),
        "sourceName": condition_name(episode),
        "subject": episode.subject,
    }


def config_uid(episode: Episode) -> str:
    return uid(9000, sum(map(ord, episode.kind)))
