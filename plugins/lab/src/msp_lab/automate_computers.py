"""The rows of ConnectWise Automate's computers and their operating systems."""

from datetime import datetime, timedelta

from msp_lab.automate_lists import Listing
from msp_lab.automate_shapes import ENROLLED, MIB, client_ref, site_ref
from msp_lab.fleet import Device
from msp_lab.world import View


def _system_name(device: Device) -> str:
    system = device.system
    maker = "Microsoft " if system.family == "windows" else ""
    return f"{maker}{system.name} x64"


def _started(view: View) -> datetime:
    return view.at - timedelta(hours=view.reading.boot_hours)


COMPUTERS: Listing[View] = Listing(
    {
        "Id": lambda v: str(v.device.number),
        "ComputerName": lambda v: v.device.hostname,
        "FriendlyName": lambda _: "",
        "Client": lambda v: client_ref(v.device.client),
        "Location": lambda v: site_ref(v.device.site),
        "OperatingSystemName": lambda v: _system_name(v.device),
        "OperatingSystemVersion": lambda v: v.device.system.version,
        "DomainName": lambda v: v.device.domain,
        "Status": lambda v: "Online" if v.online else "Offline",
        "Type": lambda v: "Server" if v.device.server else "Workstation",
        "RemoteAgentVersion": lambda _: "230.309",
        "RemoteAgentLastContact": lambda v: v.seen_at,
        "RemoteAgentLastInventory": lambda v: v.seen_at,
        "LastHeartbeat": lambda v: v.seen_at,
        "LastInventoryReceived": lambda v: v.seen_at,
        "UTCOffset": lambda _: -8,
        "TotalMemory": lambda v: v.device.memory_bytes // MIB,
        "FreeMemory": lambda v: int(v.device.memory_bytes * (1 - v.reading.memory)) // MIB,
        "CpuUsage": lambda v: round(v.reading.cpu * 100),
        "LocalIPAddress": lambda v: v.device.ip,
        "GatewayIPAddress": lambda v: v.device.public_ip,
        "MACAddress": lambda v: v.device.mac.replace(":", "-"),
        "DomainNameServers": lambda v: [f"10.{v.device.client.number % 250}.0.10"],
        "SystemUptime": lambda v: int(v.reading.boot_hours * 60),
        "LastStartup": _started,
        "DateAdded": lambda _: ENROLLED,
        "UserIdleTime": lambda _: 0,
        "LoggedInUsers": lambda v: (
            []
            if v.device.server
            else [
                {
                    "LoggedInUserName": f"{v.device.client.prefix}\\{v.device.user}",
                    "ConsoleId": 1,
                }
            ]
        ),
        "LastUserName": lambda v: f"{v.device.client.prefix}\\{v.device.user}",
        "IsMaintenanceModeEnabled": lambda _: False,
        "IsHeartbeatEnabled": lambda _: True,
        "IsHeartbeatRunning": lambda v: v.online,
        "IsRebootNeeded": lambda v: v.reading.boot_hours > 720,
        "IsVirtualMachine": lambda v: v.device.virtual,
        "IsVirtualHost": lambda _: False,
        "IsMaster": lambda _: False,
        "IsNetworkProbe": lambda _: False,
        "SerialNumber": lambda v: v.device.serial,
        "AssetTag": lambda v: f"LAB-{v.device.number:05d}",
        "WindowsUpdateDate": lambda v: v.seen_at,
        "AntivirusDefinitionDate": lambda v: v.seen_at,
        "VirusScanner": lambda _: {"Id": "1", "Name": "Microsoft Defender"},
        "BiosManufacturer": lambda v: v.device.maker,
        "Comment": lambda _: "",
        "Tickets": lambda _: [],
        "Groups": lambda _: [],
        # The real rows are heavy with these; a hundred small numbers stand for them.
        "OpenPortsTCP": lambda _: [135, 139, 445, 3389, *range(49664, 49690)],
        "OpenPortsUDP": lambda _: [53, 123, 137, 138, 500, 4500, *range(49664, 49690)],
        "IRQ": lambda _: list(range(16)),
        "Address": lambda _: list(range(16)),
        "DMA": lambda _: list(range(8)),
        "UserAccounts": lambda v: ["Administrator", "Guest", v.device.user],
        "PowerProfiles": lambda _: ["Balanced", "High performance"],
        "HardwarePorts": lambda _: ["COM1", "USB1", "USB2"],
    },
    "Id",
)

SYSTEMS: Listing[View] = Listing(
    {
        "ComputerId": lambda v: v.device.number,
        "Name": lambda v: _system_name(v.device),
        "Version": lambda v: v.device.system.version,
        "MajorVersion": lambda v: int(v.device.system.version.split(".")[0]),
        "MinorVersion": lambda v: int(v.device.system.version.split(".")[1]),
        "ServicePackName": lambda _: "",
        "Is64Bit": lambda _: True,
        "IsServer": lambda v: v.device.server,
        "IsDomainController": lambda v: v.device.role.code == "DC",
        "Domain": lambda v: v.device.domain,
        "InstallDate": lambda _: ENROLLED,
        "Edition": lambda v: "Standard" if v.device.server else "Pro",
    },
    "ComputerId",
)
