"""The check: its limits, and a pure function that judges facts."""

from fnmatch import fnmatch
from typing import Annotated

from attrs import frozen

from msp_core.v1 import Doc, Previous, ServiceFacts, ServiceState, Status, Verdict


@frozen(kw_only=True)
class Limits:
    """Which services must not run. Patterns of short system names, in any case."""

    banned: Annotated[tuple[str, ...], Doc("Services that must not run; running is critical.")] = (
        "TeamViewer*",
        "AnyDesk*",
        "VNC*",
    )


def evaluate(found: ServiceFacts, *, limits: Limits, previous: Previous | None) -> Verdict:
    """Judge one device: a banned service that runs is critical, one that is installed a warning."""
    banned = [
        one
        for one in found.services
        if any(fnmatch(one.name.lower(), pattern.lower()) for pattern in limits.banned)
    ]
    data = {"banned": sorted(one.name for one in banned)}
    running = sorted(one.name for one in banned if one.state is ServiceState.RUNNING)
    if running:
        return Verdict(Status.CRITICAL, f"runs and must not: {', '.join(running)}", data=data)
    if banned:
        names = ", ".join(data["banned"])
        return Verdict(Status.WARNING, f"installed and must not be: {names}", data=data)
    # Not everything was listed, or nothing was: then nobody knows what else is there
    if not found.complete or not found.services:
        return Verdict(Status.UNKNOWN, "the console does not list all services", data=data)
    return Verdict(Status.OK, f"none of {len(found.services)} services is banned", data=data)
