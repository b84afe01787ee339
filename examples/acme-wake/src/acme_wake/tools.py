"""The tool: a command, an MCP tool and a Python call from one function."""

import asyncio
import re
import socket
from typing import Annotated, ClassVar

from attrs import frozen

from msp_core.v1 import Context, Display, Doc, InvalidParameters, Param, Planned


@frozen(kw_only=True)
class WakeSettings:
    """Where magic packets go."""

    broadcast: Annotated[str, Doc("Address the packet is sent to.")] = "255.255.255.255"
    port: Annotated[int, Doc("Port the packet is sent to.")] = 9


@frozen(kw_only=True)
class Sent:
    """A packet that was sent. Nobody answers it: whether the machine woke up is not known."""

    DISPLAY: ClassVar[Display] = Display(summary=lambda one: f"Sent to {one.mac} by {one.by}.")

    mac: str
    by: str


async def send(
    ctx: Context, mac: Annotated[str, Doc("The machine's MAC address."), Param(arg=True)]
) -> Sent | Planned:
    """Wake a machine over the network."""
    digits = re.sub(r"[-:.]", "", mac.lower())
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        message = f"{mac!r} is not a MAC address."
        raise InvalidParameters(message, suggestion="Such as 00:11:22:33:44:55.")
    address = ":".join(re.findall("..", digits))
    to = ctx.settings(WakeSettings)

    async def apply() -> Sent:
        await asyncio.to_thread(_send, bytes.fromhex("ff" * 6 + digits * 16), to)
        return Sent(mac=address, by=f"{to.broadcast}:{to.port}")

    # One command is one change: the same key would return what was recorded instead of sending again
    key = f"wake/{address}/{ctx.correlation_id}"
    return await ctx.change("wake", address, apply, key=key, idempotent=True)


def _send(packet: bytes, to: WakeSettings) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        out.sendto(packet, (to.broadcast, to.port))
