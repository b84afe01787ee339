"""What the author of an RMM adapter supplies: a simulated vendor whose truth is known, and where things stand in it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from attrs import field, frozen

from msp_core.testing.vendor import Request

BACKENDS = "msp_toolkit.backends"
"""Entry points that name the backend of an adapter kind: `acme-rmm = "acme_rmm.simulator:Backend"`."""


@frozen(kw_only=True)
class DeviceTruth:
    """A device as it is: its client's name, and what the vendor knows about it (None: nothing)."""

    client: str
    online: bool | None = None
    last_seen: datetime | None = None


@frozen(kw_only=True)
class RmmTruth:
    """What the adapter must find: names of clients and sites, devices by name, open alerts by device name."""

    clients: frozenset[str]
    sites: frozenset[str]
    devices: Mapping[str, DeviceTruth]
    alerts: Mapping[str, int] = field(factory=dict)


@frozen(kw_only=True)
class FieldNames:
    """Where things stand in one device of the vendor's answers, so that the cases can spoil them.

    `ids` are the fields with ids, its own first; `words` those with one of a set of words; `times` those with a time.
    """

    ids: tuple[str, ...]
    name: str
    words: tuple[str, ...] = ()
    times: tuple[str, ...] = ()


class RmmBackend(Protocol):
    """A well-behaved vendor with at least 2 clients and enough devices for 3 pages; the kit makes the faults.

    `config` are the instance's options, with a small page size and a timeout of about a second; `secrets` its
    credentials by settings field; `url_field` the option that takes the address (empty: it speaks no HTTP).
    A vendor without a login, whose key goes with every request, has `fixed_key = True` as well: `is_login` is then
    never true, `expire` does nothing, and the cases about a login are skipped.
    """

    config: Mapping[str, Any]
    secrets: Mapping[str, str]
    url_field: str
    fields: FieldNames

    async def start(self) -> None:
        """Get ready to answer."""
        ...

    async def stop(self) -> None:
        """Clean up."""
        ...

    async def answer(self, request: Request) -> Any:
        """Answer a request with a `msp_core.testing.Reply`."""
        ...

    def truth(self) -> RmmTruth:
        """Tell what is really there, now."""
        ...

    def expire(self) -> None:
        """Make every token given so far stop working, as if its time had come."""
        ...

    def is_login(self, request: Request) -> bool:
        """Tell whether a request is about logging in."""
        ...

    def devices_in(self, request: Request, body: Any) -> list[Any] | None:
        """Return the very list of devices inside a decoded answer; None for an answer that lists no devices."""
        ...
