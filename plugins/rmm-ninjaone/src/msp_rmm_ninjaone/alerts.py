"""Triggered conditions. Their severity is not in the alert but in the activity of the same series."""

from collections.abc import Sequence
from typing import Any

from msp_core.v1 import Severity
from msp_http.api import HttpClient
from msp_rmm_ninjaone.paging import Pages, device_filter, expect_list
from msp_rmm_ninjaone.shapes import Row, external_id, moment, severity, text

MOST_PAGES = 5
"""How far back in the activities a severity is looked for, in pages of 1,000."""
_PAGE = 1000


async def triggered(pages: Pages, clients: Sequence[str] | None) -> list[Any]:
    """Return the triggered conditions of these clients' devices, as far as the vendor's filter works."""
    return await pages.whole("/v2/alerts", {"df": device_filter(clients)})


async def severities(http: HttpClient, alerts: Sequence[Any]) -> dict[str, Severity]:
    """Find the severity of each alert: its own keys where it has them, else the activity that opened it.

    Costs no request where every alert says it itself or there are none.
    """
    found: dict[str, Severity] = {}
    wanted: set[str] = set()
    opened: list[float] = []
    for row in alerts:
        uid = text(row.get("uid")) if isinstance(row, dict) else ""
        own = severity(row) if uid else None
        if own is not None:
            found[uid] = own
        elif uid:
            wanted.add(uid)
            at = moment(row.get("createTime"))
            opened.append(0.0 if at is None else at.timestamp())
    older: int | None = None
    for _ in range(MOST_PAGES if wanted else 0):
        rows = await _page(http, older)
        oldest = older
        for row in rows:
            uid = text(row.get("seriesUid"))
            if uid in wanted:
                wanted.discard(uid)
                said = severity(row)
                if said is not None:
                    found[uid] = said
            number = external_id(row.get("id")) or ""
            if number.isdigit():
                oldest = int(number) if oldest is None else min(oldest, int(number))
        last = moment(rows[-1].get("activityTime")) if rows else None
        too_old = last is not None and last.timestamp() < min(opened) - 3600
        if not wanted or len(rows) < _PAGE or oldest == older or too_old:
            break
        older = oldest
    return found


async def _page(http: HttpClient, older: int | None) -> list[Row]:
    path = "/v2/activities"
    answer = await http.get_json(
        path,
        params={
            "type": "CONDITION",
            "status": "TRIGGERED",
            "olderThan": older,
            "pageSize": _PAGE,
        },
    )
    rows = expect_list(answer.get("activities") if isinstance(answer, dict) else None, path)
    return [row for row in rows if isinstance(row, dict)]
