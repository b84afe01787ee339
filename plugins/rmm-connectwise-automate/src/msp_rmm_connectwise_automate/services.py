"""Services: the server has them per computer only, as of the last inventory."""

# ruff: noqa: ARG001 - the contract hands a Context to everybody

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from msp_core.v1 import (
    Context,
    FactQuery,
    Missing,
    MspError,
    Observation,
    Quarantined,
    ServiceFact,
    ServiceFacts,
    ServiceRequest,
    ServiceStart,
    ServiceState,
    Target,
    VendorRefused,
)
from msp_rmm_connectwise_automate.adapter import Automate
from msp_rmm_connectwise_automate.facts import Answer
from msp_rmm_connectwise_automate.lists import Row, is_number, moment

SOURCE = "connectwise-automate.services"
_FIELDS = "ComputerServiceId,Name,Description,State,Startup,DateLastInventoried"
_STATES = {
    "running": ServiceState.RUNNING,
    "started": ServiceState.RUNNING,
    "stopped": ServiceState.STOPPED,
    "start pending": ServiceState.STARTING,
    "continue pending": ServiceState.STARTING,
    "stop pending": ServiceState.STOPPING,
    "pause pending": ServiceState.PAUSED,
    "paused": ServiceState.PAUSED,
    "failed": ServiceState.FAILED,
}
_STARTS = {
    "auto": ServiceStart.AUTO,
    "automatic": ServiceStart.AUTO,
    "delayed": ServiceStart.DELAYED,
    "delayed auto": ServiceStart.DELAYED,
    "auto delayed": ServiceStart.DELAYED,
    "automatic (delayed start)": ServiceStart.DELAYED,
    "automatic delayed": ServiceStart.DELAYED,
    "manual": ServiceStart.MANUAL,
    "demand": ServiceStart.MANUAL,
    "disabled": ServiceStart.DISABLED,
}
_GONE = 404


async def services(ctx: Context, adapter: Automate, query: FactQuery) -> AsyncIterator[Answer]:
    """Read the services of each target, several computers at a time; one that fails leaves the others alone."""
    if len(query.targets) == 1:
        for answer in await _of(adapter, query.targets[0], query):
            yield answer
        return
    waiting = iter(query.targets)
    running: set[asyncio.Task[list[Answer]]] = set()
    try:
        while True:
            while len(running) < adapter.settings.concurrency:
                target = next(waiting, None)
                if target is None:
                    break
                running.add(asyncio.create_task(_of(adapter, target, query)))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                for answer in task.result():
                    yield answer
    finally:
        for task in running:
            task.cancel()


async def _of(adapter: Automate, target: Target, query: FactQuery) -> list[Answer]:
    device_id = target.device.id
    if not is_number(target.external_id):
        return [_missing(device_id, "ConnectWise Automate has services of computers only")]
    found: list[ServiceFact] = []
    answers: list[Answer] = []
    oldest: datetime | None = None
    try:
        async for page in adapter.lists.pages(
            f"/Computers/{target.external_id}/Services", key="ComputerServiceId", fields=_FIELDS
        ):
            zone = await adapter.lists.zone(page, "DateLastInventoried")
            for row in page:
                service = _service(row)
                if row is None or service is None:
                    answers.append(
                        Quarantined(
                            "service", "it is no object, or has no name", target.external_id
                        )
                    )
                    continue
                found.append(service)
                at = moment(row.get("DateLastInventoried"), zone)
                if at is not None and (oldest is None or at < oldest):
                    oldest = at
    except VendorRefused as error:
        if error.details.get("status") == _GONE:
            return [_missing(device_id, "ConnectWise Automate no longer lists this device")]
        return [_missing(device_id, error.message)]
    except MspError as error:
        return [_missing(device_id, error.message)]
    if not found:
        return [
            *answers,
            _missing(
                device_id, "ConnectWise Automate has no services of this computer in its inventory"
            ),
        ]
    names = _requested(query, device_id)
    chosen = found if names is None else [one for one in found if one.name.lower() in names]
    fact = ServiceFacts(services=tuple(chosen), complete=names is None and not answers)
    answers.append(Observation(device_id=device_id, fact=fact, source=SOURCE, observed_at=oldest))
    return answers


def _requested(query: FactQuery, device_id: str) -> frozenset[str] | None:
    """Return the names asked for, in lower case; None where all services are wanted."""
    requests = [one for one in query.requests.get(device_id, ()) if isinstance(one, ServiceRequest)]
    if not requests:
        return None
    return frozenset(name.lower() for one in requests for name in one.names)


def _service(row: Row | None) -> ServiceFact | None:
    name = row.get("Name") if row is not None else None
    if row is None or not isinstance(name, str) or not name.strip():
        return None
    title = row.get("Description")
    return ServiceFact(
        name=name.strip(),
        display_name=title.strip() if isinstance(title, str) else "",
        state=_STATES.get(str(row.get("State")).strip().lower(), ServiceState.UNKNOWN),
        start=_STARTS.get(str(row.get("Startup")).strip().lower(), ServiceStart.UNKNOWN),
    )


def _missing(device_id: str, reason: str) -> Missing:
    return Missing(device_id=device_id, fact_id=ServiceFacts.fact_id, source=SOURCE, reason=reason)
