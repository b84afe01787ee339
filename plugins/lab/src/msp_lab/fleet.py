"""A fleet of clients, sites and devices that is a pure function of (clients, devices, seed)."""

from collections.abc import Iterator

import attrs

from msp_lab import catalog
from msp_lab.catalog import GIB, OperatingSystem, Role, Service
from msp_lab.chance import between, mix, pick

AUTOMATE = "automate"
NINJAONE = "ninjaone"
VENDORS = (AUTOMATE, NINJAONE)
MIGRATED_MAX = 5


@attrs.frozen(kw_only=True)
class Site:
    """A place of a client; `number` is unique in the whole lab, from 1."""

    number: int
    client_number: int
    name: str
    street: str
    city: str
    state: str


@attrs.frozen(kw_only=True)
class Client:
    """A company; `number` counts from 1, `id` is the slug of the name."""

    number: int
    id: str
    name: str
    prefix: str
    sites: tuple[Site, ...]
    first_device: int
    device_count: int
    vendor: str
    migrated: int
    """How many of its first devices the other vendor manages as well."""

    def vendors(self) -> tuple[str, ...]:
        return VENDORS if self.migrated else (self.vendor,)


@attrs.frozen(kw_only=True)
class Volume:
    """A disk volume; fractions of use come from the story."""

    name: str
    label: str
    file_system: str
    size_bytes: int


@attrs.frozen(kw_only=True)
class Device:
    """A machine; `number` is unique in the whole lab, from 1, and is its id in both vendors."""

    number: int
    client: Client
    site: Site
    hostname: str
    role: Role
    system: OperatingSystem
    serial: str
    mac: str
    ip: str
    public_ip: str
    maker: str
    model: str
    memory_bytes: int
    cores: int
    virtual: bool
    volumes: tuple[Volume, ...]
    vendors: tuple[str, ...]
    user: str

    @property
    def server(self) -> bool:
        return self.role.server

    @property
    def services(self) -> tuple[Service, ...]:
        return self.role.services

    @property
    def domain(self) -> str:
        return f"{self.client.prefix.lower()}.local"


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def _client_name(index: int) -> str:
    if index < len(catalog.CLIENT_NAMES):
        return catalog.CLIENT_NAMES[index]
    rest = index - len(catalog.CLIENT_NAMES)
    heads, tails = catalog.NAME_HEADS, catalog.NAME_TAILS
    lap, rest = divmod(rest, len(heads) * len(tails))
    # Walking both lists at once keeps neighbours from sharing a word.
    round_, head = divmod(rest, len(heads))
    return f"{heads[head]} {tails[(round_ + head) % len(tails)]}" + (f" {lap + 1}" if lap else "")


class Fleet:
    """All clients, and devices made when first asked for."""

    def __init__(self, *, clients: int = 12, devices: int = 300, seed: int = 1) -> None:
        if clients < 1 or devices < 0:
            raise ValueError("a fleet needs at least one client and no negative number of devices")
        self.seed = seed
        self.device_count = devices
        self.clients = self._make_clients(clients, devices)
        self.sites = tuple(site for client in self.clients for site in client.sites)
        self._devices: dict[int, Device] = {}

    def _make_clients(self, clients: int, devices: int) -> tuple[Client, ...]:
        base, extra = divmod(devices, clients)
        migrating = 2 if clients > 2 else 0
        made: list[Client] = []
        first, site_number = 1, 1
        for index in range(clients):
            name = _client_name(index)
            number = index + 1
            count = base + (1 if index < extra else 0)
            site_count = 1 + (mix(self.seed, number, 11) % 3 == 0) + (count > 200)
            sites = tuple(self._make_site(site_number + k, number, k) for k in range(site_count))
            made.append(
                Client(
                    number=number,
                    id=_slug(name),
                    name=name,
                    prefix=_slug(name).split("-")[0].upper()[:9],
                    sites=sites,
                    first_device=first,
                    device_count=count,
                    vendor=AUTOMATE if index % 2 == 0 else NINJAONE,
                    migrated=min(MIGRATED_MAX, count) if index == migrating else 0,
                )
            )
            first += count
            site_number += site_count
        return tuple(made)

    def _make_site(self, number: int, client: int, index: int) -> Site:
        city, state = pick(catalog.CITIES, self.seed, number, 12)
        return Site(
            number=number,
            client_number=client,
            name=catalog.SITE_NAMES[index],
            street=f"{between(1, 990, self.seed, number, 13)} "
            f"{pick(catalog.STREETS, self.seed, number, 14)}",
            city=city,
            state=state,
        )

    def client(self, number: int) -> Client | None:
        return self.clients[number - 1] if 1 <= number <= len(self.clients) else None

    def site(self, number: int) -> Site | None:
        return self.sites[number - 1] if 1 <= number <= len(self.sites) else None

    def device(self, number: int) -> Device | None:
        """Return the device with this number, made on first use."""
        found = self._devices.get(number)
        if found is None and 1 <= number <= self.device_count:
            found = self._make_device(self._client_of(number), number)
            self._devices[number] = found
        return found

    def _client_of(self, number: int) -> Client:
        base, extra = divmod(self.device_count, len(self.clients))
        head = extra * (base + 1)
        index = (
            (number - 1) // (base + 1) if number <= head else extra + (number - 1 - head) // base
        )
        return self.clients[index]

    def devices(self, vendor: str | None = None) -> Iterator[Device]:
        """Yield the devices of one vendor, or of both, in order of their numbers."""
        for client in self.clients:
            for device in self.client_devices(client):
                if vendor is None or vendor in device.vendors:
                    yield device

    def client_devices(self, client: Client) -> Iterator[Device]:
        for number in range(client.first_device, client.first_device + client.device_count):
            device = self.device(number)
            assert device is not None
            yield device

    def clients_of(self, vendor: str) -> tuple[Client, ...]:
        return tuple(client for client in self.clients if vendor in client.vendors())

    def _role(self, client: Client, position: int, number: int) -> tuple[Role, int]:
        """Choose the role and its running number: servers first, one in five at the most."""
        servers = max(1, client.device_count // 5)
        if position < servers:
            lap, kind = divmod(position, len(catalog.SERVER_ROLES))
            return catalog.SERVER_ROLES[kind], lap + 1
        place = position - servers + 1
        draw = mix(self.seed, number, 21) % 20
        if draw < 3:
            return catalog.MAC_WORKSTATION, place
        if draw < 4:
            return catalog.LINUX_WORKSTATION, place
        return catalog.WINDOWS_WORKSTATION, place

    def _make_device(self, client: Client, number: int) -> Device:
        seed, position = self.seed, number - client.first_device
        role, running = self._role(client, position, number)
        digits = 2 if role.server else 3
        maker, model = pick(role.makers, seed, number, 22)
        both = position < client.migrated
        return Device(
            number=number,
            client=client,
            site=client.sites[0] if role.server else pick(client.sites, seed, number, 23),
            hostname=f"{client.prefix}-{role.code}{running:0{digits}d}",
            role=role,
            system=pick(role.systems, seed, number, 24),
            serial=f"{mix(seed, number, 25) & 0xFFFFFFFFF:09X}",
            mac="02:15:5D:" + ":".join(f"{(number >> shift) & 255:02X}" for shift in (16, 8, 0)),
            ip=f"10.{client.number % 250}.{position // 240 % 250}.{10 + position % 240}",
            public_ip=f"203.0.113.{client.number % 250 + 1}",
            maker=maker,
            model=model,
            memory_bytes=pick(role.memory_gib, seed, number, 26) * GIB,
            cores=pick((4, 8, 16), seed, number, 27) if role.server else 8,
            virtual=role.server and mix(seed, number, 28) % 3 != 0,
            volumes=tuple(
                Volume(
                    name=name,
                    label=label,
                    file_system={"windows": "NTFS", "linux": "ext4", "mac": "APFS"}[
                        role.systems[0].family
                    ],
                    size_bytes=pick(sizes, seed, number, 29) * GIB,
                )
                for name, label, sizes in role.disks
            ),
            vendors=VENDORS if both else (client.vendor,),
            user=pick(catalog.FIRST_NAMES, seed, number, 30),
        )
