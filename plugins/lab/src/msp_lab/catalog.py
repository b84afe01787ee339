"""What the lab's fleet is made of: company names, operating systems, roles, services, hardware."""

import attrs

GIB = 1024**3

CLIENT_NAMES = (
    "Acme Corp",
    "Birchwood Dental",
    "Cascade Logistics",
    "Delmar Accounting",
    "Evergreen Family Law",
    "Fairview Medical Group",
    "Granite Construction Partners",
    "Harbor Point Hotels",
    "Ironwood Insurance",
    "Juniper Veterinary Clinic",
    "Kestrel Aerospace",
    "Lakeside School District",
    "Meridian Architects",
    "Northgate Credit Union",
    "Oakmont Senior Living",
    "Pinecrest Brewing",
    "Quarry Hill Dairy",
    "Riverside Print Works",
    "Summit Title Company",
    "Thornton Machine Shop",
    "Umbra Film Studio",
    "Valley Orthopedics",
    "Westbrook Realty",
    "Yarrow Botanicals",
)
NAME_HEADS = (
    "Amber", "Beacon", "Cedar", "Dover", "Elmwood", "Falcon", "Glenwood", "Hawthorn", "Indigo",
    "Jasper", "Kingston", "Linden", "Maple", "Newport", "Orchard", "Prairie", "Quinn", "Redwood",
    "Sterling", "Tamarack", "Union", "Vista", "Willow", "Yorktown", "Zephyr",
)  # fmt: skip
NAME_TAILS = (
    "Advisors", "Bakery", "Capital", "Dentistry", "Electric", "Foods", "Gardens", "Health",
    "Industries", "Law", "Manufacturing", "Networks", "Optics", "Pharmacy", "Roofing",
    "Supply", "Textiles", "Travel", "Ventures", "Wineries",
)  # fmt: skip
CITIES = (
    ("Portland", "OR"), ("Denver", "CO"), ("Austin", "TX"), ("Madison", "WI"), ("Albany", "NY"),
    ("Raleigh", "NC"), ("Boise", "ID"), ("Tucson", "AZ"), ("Omaha", "NE"), ("Savannah", "GA"),
)  # fmt: skip
STREETS = (
    "Main Street",
    "Harbor Road",
    "Mill Lane",
    "Station Avenue",
    "Park Drive",
    "2nd Street",
)
SITE_NAMES = ("Headquarters", "Warehouse", "Branch Office", "Workshop")
FIRST_NAMES = (
    "anna",
    "ben",
    "carla",
    "david",
    "elena",
    "frank",
    "grace",
    "hugo",
    "irene",
    "jonas",
)


@attrs.frozen(kw_only=True)
class OperatingSystem:
    """One operating system as the vendors name it."""

    family: str
    name: str
    version: str
    build: str
    release: str
    maker: str


WINDOWS_SERVER_2022 = OperatingSystem(
    family="windows",
    name="Windows Server 2022 Standard",
    version="10.0.20348",
    build="20348",
    release="21H2",
    maker="Microsoft Corporation",
)
WINDOWS_SERVER_2019 = OperatingSystem(
    family="windows",
    name="Windows Server 2019 Standard",
    version="10.0.17763",
    build="17763",
    release="1809",
    maker="Microsoft Corporation",
)
WINDOWS_11 = OperatingSystem(
    family="windows",
    name="Windows 11 Pro",
    version="10.0.22631",
    build="22631",
    release="23H2",
    maker="Microsoft Corporation",
)
WINDOWS_10 = OperatingSystem(
    family="windows",
    name="Windows 10 Pro",
    version="10.0.19045",
    build="19045",
    release="22H2",
    maker="Microsoft Corporation",
)
UBUNTU = OperatingSystem(
    family="linux",
    name="Ubuntu 22.04.5 LTS",
    version="5.15.0",
    build="5.15.0-126-generic",
    release="22.04",
    maker="Canonical",
)
DEBIAN = OperatingSystem(
    family="linux",
    name="Debian GNU/Linux 12 (bookworm)",
    version="6.1.0",
    build="6.1.0-28-amd64",
    release="12",
    maker="Debian",
)
MACOS = OperatingSystem(
    family="mac",
    name="macOS 14.7",
    version="14.7.1",
    build="23H222",
    release="14.7",
    maker="Apple Inc.",
)


@attrs.frozen(kw_only=True)
class Service:
    """One service of an operating system; `automatic` ones are expected to run."""

    name: str
    title: str
    automatic: bool = True
    account: str = "LocalSystem"


def _services(*rows: tuple[str, str] | tuple[str, str, bool]) -> tuple[Service, ...]:
    return tuple(
        Service(name=row[0], title=row[1], automatic=row[2] if len(row) == 3 else True)
        for row in rows
    )


WINDOWS_BASE = _services(
    ("EventLog", "Windows Event Log"),
    ("WinDefend", "Microsoft Defender Antivirus Service"),
    ("Dnscache", "DNS Client"),
    ("LanmanServer", "Server"),
    ("LanmanWorkstation", "Workstation"),
    ("Spooler", "Print Spooler"),
    ("W32Time", "Windows Time"),
    ("wuauserv", "Windows Update", False),
    ("BITS", "Background Intelligent Transfer Service", False),
)
LINUX_BASE = _services(
    ("ssh", "OpenBSD Secure Shell server"),
    ("cron", "Regular background program processing daemon"),
    ("rsyslog", "System Logging Service"),
    ("systemd-timesyncd", "Network Time Synchronization"),
)
MAC_BASE = _services(
    ("com.openssh.sshd", "OpenSSH server"),
    ("com.apple.mDNSResponder", "mDNSResponder"),
)


@attrs.frozen(kw_only=True)
class Role:
    """What one machine is for: decides its name, systems, disks and services."""

    code: str
    server: bool
    systems: tuple[OperatingSystem, ...]
    services: tuple[Service, ...]
    disks: tuple[tuple[str, str, tuple[int, ...]], ...]
    """(mount point or letter, label, possible sizes in GiB)"""
    memory_gib: tuple[int, ...]
    makers: tuple[tuple[str, str], ...]


_RACK = (("Dell Inc.", "PowerEdge R450"), ("HPE", "ProLiant DL360 Gen10"))
_DESK = (
    ("Dell Inc.", "OptiPlex 7010"),
    ("HP", "EliteDesk 800 G6"),
    ("Lenovo", "ThinkPad T14"),
)

DOMAIN_CONTROLLER = Role(
    code="DC",
    server=True,
    systems=(WINDOWS_SERVER_2022, WINDOWS_SERVER_2019),
    services=WINDOWS_BASE
    + _services(
        ("NTDS", "Active Directory Domain Services"),
        ("DNS", "DNS Server"),
        ("Netlogon", "Netlogon"),
        ("Kdc", "Kerberos Key Distribution Center"),
    ),
    disks=(("C:", "OS", (127, 256)),),
    memory_gib=(16, 32),
    makers=_RACK,
)
FILE_SERVER = Role(
    code="FS",
    server=True,
    systems=(WINDOWS_SERVER_2022, WINDOWS_SERVER_2019),
    services=WINDOWS_BASE + _services(("VSS", "Volume Shadow Copy"), ("DFSR", "DFS Replication")),
    disks=(("C:", "OS", (127, 256)), ("D:", "Data", (1024, 2048, 4096))),
    memory_gib=(16, 32),
    makers=_RACK,
)
SQL_SERVER = Role(
    code="SQL",
    server=True,
    systems=(WINDOWS_SERVER_2022,),
    services=WINDOWS_BASE
    + _services(("MSSQLSERVER", "SQL Server"), ("SQLSERVERAGENT", "SQL Server Agent")),
    disks=(("C:", "OS", (256,)), ("E:", "SQL", (512, 1024))),
    memory_gib=(64, 128),
    makers=_RACK,
)
WEB_SERVER = Role(
    code="WEB",
    server=True,
    systems=(UBUNTU, DEBIAN),
    services=LINUX_BASE + _services(("nginx", "A high performance web server")),
    disks=(("/", "root", (64, 128)), ("/var", "var", (128, 256))),
    memory_gib=(8, 16),
    makers=_RACK,
)
DATABASE_SERVER = Role(
    code="DB",
    server=True,
    systems=(DEBIAN,),
    services=LINUX_BASE + _services(("postgresql", "PostgreSQL RDBMS")),
    disks=(("/", "root", (64,)), ("/var/lib/postgresql", "pgdata", (512, 1024))),
    memory_gib=(32, 64),
    makers=_RACK,
)
MAC_SERVER = Role(
    code="MINI",
    server=True,
    systems=(MACOS,),
    services=MAC_BASE,
    disks=(("/", "Macintosh HD", (512, 1024)),),
    memory_gib=(16,),
    makers=(("Apple Inc.", "Macmini9,1"),),
)
WINDOWS_WORKSTATION = Role(
    code="WS",
    server=False,
    systems=(WINDOWS_11, WINDOWS_11, WINDOWS_10),
    services=WINDOWS_BASE,
    disks=(("C:", "OS", (256, 512)),),
    memory_gib=(8, 16, 32),
    makers=_DESK,
)
MAC_WORKSTATION = Role(
    code="MBP",
    server=False,
    systems=(MACOS,),
    services=MAC_BASE,
    disks=(("/", "Macintosh HD", (256, 512)),),
    memory_gib=(16, 32),
    makers=(("Apple Inc.", "MacBookPro18,3"),),
)
LINUX_WORKSTATION = Role(
    code="LX",
    server=False,
    systems=(UBUNTU,),
    services=LINUX_BASE,
    disks=(("/", "root", (256, 512)),),
    memory_gib=(16, 32),
    makers=_DESK,
)

SERVER_ROLES = (
    DOMAIN_CONTROLLER,
    FILE_SERVER,
    WEB_SERVER,
    SQL_SERVER,
    DATABASE_SERVER,
    MAC_SERVER,
)
