"""What the inventory plugin offers."""

from collections.abc import Iterable

from msp_core.v1 import Effect, Migrations, Service, Settings, Surface, Tool, hookimpl

_PEOPLE = frozenset({Surface.CLI, Surface.PYTHON, Surface.WORKFLOW})


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer the `device` commands and `client sync`."""
    yield Tool(
        name="client.sync",
        run="msp_inventory.tools:sync",
        summary="Bring clients, sites and devices up to date with the consoles",
        effect=Effect.RECORD,
        surfaces=_PEOPLE | {Surface.SCHEDULE},
        example="msp-toolkit client sync --all",
    )
    yield Tool(
        name="client.link",
        run="msp_inventory.tools:link_client",
        summary="Say which client of a console is ours",
        effect=Effect.RECORD,
        surfaces=_PEOPLE,
        example="msp-toolkit client link acme-corp rmm 42",
    )
    yield Tool(
        name="device.list",
        run="msp_inventory.tools:list_devices",
        summary="List client devices",
        effect=Effect.READ,
        example="msp-toolkit device list acme-corp",
    )
    yield Tool(
        name="device.show",
        run="msp_inventory.tools:show_device",
        summary="Show one device and its ids in every console",
        effect=Effect.READ,
        example="msp-toolkit device show acme-corp/srv-01",
    )
    yield Tool(
        name="device.add",
        run="msp_inventory.tools:add_device",
        summary="Add a device that no console lists, such as one reached over SSH",
        effect=Effect.RECORD,
        surfaces=_PEOPLE,
        example="msp-toolkit device add acme-corp web-01 --via ssh --address web-01.acme.example",
    )
    yield Tool(
        name="device.forget",
        run="msp_inventory.tools:forget_device",
        summary="Remove a device that no console lists; its history stays",
        effect=Effect.RECORD,
        surfaces=_PEOPLE,
        example="msp-toolkit device forget acme-corp/old-pc",
    )
    yield Tool(
        name="device.link",
        run="msp_inventory.tools:link_device",
        summary="Say which device of a console is ours",
        effect=Effect.RECORD,
        surfaces=_PEOPLE,
        example="msp-toolkit device link acme-corp/srv-01 ninja 1234",
    )
    yield Tool(
        name="device.exec",
        run="msp_inventory.remote:run_command",
        summary="Run a command line on a device",
        effect=Effect.CHANGE,
        example="msp-toolkit device exec acme-corp/srv-01 --via ssh -- df -h",
    )
    yield Tool(
        name="device.deploy-agent",
        run="msp_inventory.remote:deploy_agent",
        summary="Prepare the installation of a console's agent on a client's new machines",
        effect=Effect.CHANGE,
        example="msp-toolkit device deploy-agent acme-corp --platform windows",
    )


@hookimpl
def msp_services() -> Iterable[Service]:
    """Offer the inventory, and the device figures that client lists show."""
    yield Service(type="msp_inventory.api:Inventory", factory="msp_inventory.service:create")
    yield Service(type="msp_clients.api:KnowsDevices", factory="msp_inventory.figures:create")


@hookimpl
def msp_settings() -> Iterable[Settings]:
    """Offer the section `inventory`."""
    yield Settings(
        section="inventory",
        type="msp_inventory.settings:InventorySettings",
        check="msp_inventory.default:check",
    )


@hookimpl
def msp_migrations() -> Iterable[Migrations]:
    """Offer the tables."""
    yield Migrations(id="inventory", package="msp_inventory.migrations", after=("clients",))
