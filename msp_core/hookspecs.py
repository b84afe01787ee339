"""Every hook a plugin can implement.

A hook takes no arguments, does no I/O, is an ordinary function (not `async`) and returns an iterable of records. It
is called at most once per process and plugin. What it returns is sorted by id, so order never matters. An exception, a
wrong type or a duplicate id quarantines the plugin, which `plugin list` and `doctor` then show; all others go on.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from msp_core.adapters import Adapter
    from msp_core.checks import Check, Source
    from msp_core.mcp import McpPrompt, McpResource
    from msp_core.records import (
        DoctorCheck,
        Migrations,
        SecretProvider,
        Service,
        Settings,
        Subscriber,
        Tool,
    )

PROJECT = "msp_toolkit"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def msp_tools() -> "Iterable[Tool]":  # type: ignore[empty-body]
    """Offer tools: commands, MCP tools, workflow steps and Python calls from one function each.

    Called when a surface lists or runs tools. An exception in `run` is an error of that call alone.

    ```python
    from collections.abc import Iterable

    from msp_core.v1 import Effect, Tool, hookimpl


    @hookimpl
    def msp_tools() -> Iterable[Tool]:
        yield Tool(
            name="greeting.say",
            run="acme_greeting.tools:say",
            summary="Say hello to a client",
            effect=Effect.READ,
        )
    ```
    """


@hookspec
def msp_checks() -> "Iterable[Check]":  # type: ignore[empty-body]
    """Offer health checks: facts needed, limits, and a pure function that judges.

    Called when a sweep is planned and when checks are listed.
    `evaluate` is called once for each device of a sweep; an exception there is an ERROR result of that device.

    ```python
    from collections.abc import Iterable

    from msp_core.v1 import Check, CpuFacts, hookimpl


    @hookimpl
    def msp_checks() -> Iterable[Check]:
        yield Check(
            id="steal",
            title="CPU steal",
            needs=(CpuFacts,),
            limits="acme_steal.check:StealLimits",
            evaluate="acme_steal.check:evaluate",
        )
    ```
    """


@hookspec
def msp_sources() -> "Iterable[Source]":  # type: ignore[empty-body]
    """Offer sources of facts: what an adapter kind, a transport or this machine can read.

    Called when a sweep is planned.
    `read` is called once for each sweep and granularity; an exception there makes the facts it did not give UNKNOWN,
    with the reason, unless another source gives them.

    ```python
    from collections.abc import Iterable

    from msp_core.v1 import DiskFacts, Granularity, Mode, Source, hookimpl


    @hookimpl
    def msp_sources() -> Iterable[Source]:
        yield Source(
            id="acme-rmm.disks",
            adapter="acme-rmm",
            facts=(DiskFacts,),
            read="acme_rmm.facts:disks",
            granularity=Granularity.FLEET,
            mode=Mode.STORED,
        )
    ```
    """


@hookspec
def msp_adapters() -> "Iterable[Adapter]":  # type: ignore[empty-body]
    """Offer adapter kinds: systems that `[adapters.<name>] kind = "..."` connects to.

    Called when adapters are configured or listed.
    `factory` is called once for each instance that is used; an exception there, or in a method of the adapter, is an
    error of whoever asked.

    ```python
    from collections.abc import Iterable

    from msp_core.v1 import Adapter, ListsDevices, Role, hookimpl


    @hookimpl
    def msp_adapters() -> Iterable[Adapter]:
        yield Adapter(
            id="acme-rmm",
            title="Acme RMM",
            role=Role.RMM,
            factory="acme_rmm.adapter:create",
            settings="acme_rmm.settings:AcmeSettings",
            offers=(ListsDevices,),
        )
    ```
    """


@hookspec
def msp_services() -> "Iterable[Service]":  # type: ignore[empty-body]
    """Offer services: objects other code gets by their Protocol with `await ctx.get(Type)`.

    Called when a service is first asked for.
    `factory` is called once for each toolkit; an exception there is an error of whoever asked, and the next one who
    asks has it tried again.

    ```python
    from collections.abc import Iterable

    from msp_core.v1 import Service, hookimpl


    @hookimpl
    def msp_services() -> Iterable[Service]:
        yield Service(type="acme_notes.api:Notes", factory="acme_notes.service:create")
    ```
    """


@hookspec
def msp_settings() -> "Iterable[Settings]":  # type: ignore[empty-body]
    """Type a section of the configuration.

    Called when the configuration is read and holds the section, and by `config check` and `config schema`.
    A value that the class refuses is an error of the configuration, with file, path and reason.

    ```python
    from collections.abc import Iterable

    from msp_core.v1 import Settings, hookimpl


    @hookimpl
    def msp_settings() -> Iterable[Settings]:
        yield Settings(section="notes", type="acme_notes.settings:NotesSettings")
    ```
    """


@hookspec
def msp_migrations() -> "Iterable[Migrations]":  # type: ignore[empty-body]
    """Offer the database tables of a plugin as numbered migrations.

    Called when the database is opened.
    A migration that raises is rolled back, and no command that needs the database goes on.

    ```python
    from collections.abc import Iterable

    from msp_core.v1 import Migrations, hookimpl


    @hookimpl
    def msp_migrations() -> Iterable[Migrations]:
        yield Migrations(id="notes", package="acme_notes.migrations", after=("clients",))
    ```
    """


@hookspec
def msp_secret_providers() -> "Iterable[SecretProvider]":  # type: ignore[empty-body]
    """Offer a place where secrets live, reached by references `scheme:name`.

    Called when a secret is first resolved and by the `credential` commands.
    `factory` is called once for each toolkit; an exception in the store is an error of whoever needs the secret.

    ```python
    from collections.abc import Iterable

    from msp_core.v1 import SecretProvider, hookimpl


    @hookimpl
    def msp_secret_providers() -> Iterable[SecretProvider]:
        yield SecretProvider(
            scheme="acmevault", title="Acme vault", factory="acme_vault.store:create"
        )
    ```
    """


@hookspec
def msp_subscribers() -> "Iterable[Subscriber]":  # type: ignore[empty-body]
    """Offer work to be done after something was recorded.

    Called when events are delivered, after the commit that recorded them.
    `run` is called for each event; an exception there is kept, and the event is delivered again later, a limited
    number of times.

    ```python
    from collections.abc import Iterable

    from msp_core.v1 import Subscriber, hookimpl


    @hookimpl
    def msp_subscribers() -> Iterable[Subscriber]:
        yield Subscriber(
            id="acme.announce", event="health.recorded", run="acme_notes.announce:announce"
        )
    ```
    """


@hookspec
def msp_doctor_checks() -> "Iterable[DoctorCheck]":  # type: ignore[empty-body]
    """Offer things for `doctor` to look at.

    Called by `doctor`. `run` is called once for each `doctor`; an exception there is a finding of its own.

    ```python
    from collections.abc import Iterable

    from msp_core.v1 import DoctorCheck, hookimpl


    @hookimpl
    def msp_doctor_checks() -> Iterable[DoctorCheck]:
        yield DoctorCheck(id="notes", title="Notes folder", run="acme_notes.doctor:check")
    ```
    """


@hookspec
def msp_mcp_resources() -> "Iterable[McpResource]":  # type: ignore[empty-body]
    """Offer documents that agents read by URI.

    Called when the MCP server lists or reads resources.
    `run` is called for each reading; an exception there is an error of that request alone.

    ```python
    from collections.abc import Iterable

    from msp_core.v1 import McpResource, hookimpl


    @hookimpl
    def msp_mcp_resources() -> Iterable[McpResource]:
        yield McpResource(
            name="notes",
            title="Notes",
            uri="msp://notes/{id}",
            run="acme_notes.resources:read_note",
            summary="The notes of one client",
        )
    ```
    """


@hookspec
def msp_mcp_prompts() -> "Iterable[McpPrompt]":  # type: ignore[empty-body]
    """Offer tasks that people choose in an agent's menu.

    Called when the MCP server lists or gives prompts.
    `run` is called each time somebody chooses it; an exception there is an error of that request alone.

    ```python
    from collections.abc import Iterable

    from msp_core.v1 import McpPrompt, hookimpl


    @hookimpl
    def msp_mcp_prompts() -> Iterable[McpPrompt]:
        yield McpPrompt(
            name="tidy-notes",
            title="Tidy notes",
            run="acme_notes.prompts:tidy",
            summary="Tidy the notes of one client",
        )
    ```
    """


HOOKS: dict[str, str] = {
    "msp_tools": "Tool",
    "msp_checks": "Check",
    "msp_sources": "Source",
    "msp_adapters": "Adapter",
    "msp_services": "Service",
    "msp_settings": "Settings",
    "msp_migrations": "Migrations",
    "msp_secret_providers": "SecretProvider",
    "msp_subscribers": "Subscriber",
    "msp_doctor_checks": "DoctorCheck",
    "msp_mcp_resources": "McpResource",
    "msp_mcp_prompts": "McpPrompt",
}
"""Each hook and the record of `msp_core.v1` it returns."""

SINCE: dict[str, str] = dict.fromkeys(HOOKS, "0.1.0")
"""The version of msp-core each hook came with; a later one is named here by itself."""


def record_of(hook: str) -> type[Any]:
    """Return the class of a hook's records; loaded when it is asked for, since few commands need all of them."""
    from msp_core import v1

    record: type[Any] = getattr(v1, HOOKS[hook])
    return record
