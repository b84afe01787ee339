"""Resolve names in threads of their own: a slow name server must not hold up the rest of the toolkit."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from msp_check_network.address import host

_THREADS = ThreadPoolExecutor(max_workers=16, thread_name_prefix="msp-names")


async def resolve(name: str, kind: socket.SocketKind) -> list[tuple[socket.AddressFamily, str]]:
    """Return the addresses the system's resolver gives, best first; raise socket.gaierror for none."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_THREADS, socket.getaddrinfo, host(name), None, 0, kind)
    return list(dict.fromkeys((item[0], str(item[4][0])) for item in found))
