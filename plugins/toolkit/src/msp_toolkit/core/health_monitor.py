"""Health checks, synchronously."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from msp_core.v1 import CheckResult, Context, InvalidParameters, Period
from msp_health.api import ClientStatusSummary, Health, HealthCheckConfig

if TYPE_CHECKING:
    from msp_toolkit.toolkit import MSPToolkit


class HealthMonitor:
    """Run health checks and read what they found."""

    def __init__(self, toolkit: "MSPToolkit") -> None:
        self._toolkit = toolkit

    def run_checks(
        self, client_id: str, check_types: Sequence[str] | None = None
    ) -> list[CheckResult]:
        """Check a client's devices now, record the results, and return one for each device and check.

        `check_types` are check ids or aliases (`disk-space`); None runs every installed check.
        """
        if not client_id:  # None would mean all of them
            message = f"No client is named: client_id is {client_id!r}."
            raise InvalidParameters(message, suggestion="Give a client's id.")
        types = [check_types] if isinstance(check_types, str) else list(check_types or ())
        return list(self._toolkit.call("health.check", client=client_id, types=types).results)

    def get_history(self, client_id: str, days: int = 7) -> list[CheckResult]:
        """Return the results of the last days, newest first."""
        if type(days) is not int or days < 1:
            message = f"days is {days!r}; it must be a whole number of at least 1."
            raise InvalidParameters(message, suggestion="get_history(client_id, days=7)")

        async def read(ctx: Context) -> list[CheckResult]:
            health = await ctx.get(Health)
            client = await self._client(ctx, client_id)
            found = await health.history(
                ctx, client, period=Period.last(timedelta(days=days), ctx.now())
            )
            return list(found.items)

        return self._toolkit.run(read)

    def configure(self, client_id: str, config: HealthCheckConfig) -> bool:
        """Set a client's own limits and checks; raise InvalidParameters for a limit that no check has."""
        given: object = config
        if not isinstance(given, HealthCheckConfig):
            message = f"config is a {type(given).__name__}; a HealthCheckConfig is needed."
            raise InvalidParameters(
                message, suggestion='HealthCheckConfig(thresholds={"disk_percent": 80})'
            )

        async def write(ctx: Context) -> bool:
            health = await ctx.get(Health)
            await health.configure(ctx, await self._client(ctx, client_id), config)
            return True

        return self._toolkit.run(write)

    def get_status_summary(self, client_id: str) -> ClientStatusSummary:
        """Return the newest result of every device and check, with counts and the worst status."""

        async def read(ctx: Context) -> ClientStatusSummary:
            health = await ctx.get(Health)
            return await health.status(ctx, await self._client(ctx, client_id))

        return self._toolkit.run(read)

    async def _client(self, ctx: Context, ref: str) -> str:
        from msp_clients.api import Clients

        clients = await ctx.get(Clients)
        return (await clients.get(ctx, ref)).id
