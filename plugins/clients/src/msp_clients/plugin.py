"""What the clients plugin offers."""

from collections.abc import Iterable

from msp_core.v1 import Effect, McpResource, Migrations, Service, Surface, Tool, hookimpl

_PEOPLE = frozenset({Surface.CLI, Surface.PYTHON, Surface.WORKFLOW})


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer the `client` commands."""
    yield Tool(
        name="client.list",
        run="msp_clients.tools:list_clients",
        summary="List MSP clients with optional filtering by tier, status, or name",
        effect=Effect.READ,
        example="msp-toolkit client list --tier gold",
    )
    yield Tool(
        name="client.show",
        run="msp_clients.tools:show_client",
        summary="Show one client: contact, tier, status, devices and its own settings",
        effect=Effect.READ,
        example="msp-toolkit client show acme-corp",
    )
    yield Tool(
        name="client.add",
        run="msp_clients.tools:add_client",
        summary="Add a client",
        effect=Effect.RECORD,
        example='msp-toolkit client add --name "Acme Corp" --contact john@acmecorp.com --tier premium',
    )
    yield Tool(
        name="client.update",
        run="msp_clients.tools:update_client",
        summary="Change a client's name, contact, tier, status, tags or notes",
        effect=Effect.RECORD,
        example="msp-toolkit client update acme-corp --status suspended",
    )
    yield Tool(
        name="client.delete",
        run="msp_clients.tools:delete_client",
        summary="Hide a client from lists and sweeps; its history stays and `client restore` undoes it",
        effect=Effect.RECORD,
        surfaces=_PEOPLE,
        example="msp-toolkit client delete acme-corp",
    )
    yield Tool(
        name="client.restore",
        run="msp_clients.tools:restore_client",
        summary="Bring a deleted client back",
        effect=Effect.RECORD,
        surfaces=_PEOPLE,
        example="msp-toolkit client restore acme-corp",
    )
    yield Tool(
        name="client.config",
        run="msp_clients.tools:configure_client",
        summary="Show or change a client's own settings, such as health limits and expected services",
        effect=Effect.RECORD,
        surfaces=_PEOPLE,
        example="msp-toolkit client config acme-corp --set health.disk.critical_percent=95",
    )
    yield Tool(
        name="client.export",
        run="msp_clients.exchange:export_clients",
        summary="Write clients as CSV or JSON",
        effect=Effect.READ,
        surfaces=_PEOPLE,
        example="msp-toolkit client export --output clients.csv",
    )
    yield Tool(
        name="client.import",
        run="msp_clients.exchange:import_clients",
        summary="Read clients from a CSV or JSON file: all rows or none",
        effect=Effect.RECORD,
        surfaces=_PEOPLE,
        example="msp-toolkit client import clients.csv --dry-run",
    )


@hookimpl
def msp_mcp_resources() -> Iterable[McpResource]:
    """Offer each client as a document."""
    yield McpResource(
        name="client",
        title="Client",
        uri="msp://clients/{id}",
        run="msp_clients.tools:read_client",
        summary="One client: contact, tier, status, devices and its own settings",
        complete="msp_clients.tools:complete_client",
    )


@hookimpl
def msp_services() -> Iterable[Service]:
    """Offer the clients service."""
    yield Service(type="msp_clients.api:Clients", factory="msp_clients.service:create")


@hookimpl
def msp_migrations() -> Iterable[Migrations]:
    """Offer the tables."""
    yield Migrations(id="clients", package="msp_clients.migrations")
