"""What the kernel offers: set up, look at itself, plugins, credentials."""

from collections.abc import Iterable

from msp_core.v1 import DoctorCheck, Effect, Surface, Tool, hookimpl

_PEOPLE = frozenset({Surface.CLI, Surface.PYTHON})


def _tool(
    name: str, run: str, summary: str, effect: Effect, *, example: str = "", repairs: bool = False
) -> Tool:
    return Tool(
        name=name,
        run=f"msp_core.builtin.{run}",
        summary=summary,
        effect=effect,
        surfaces=_PEOPLE,
        example=example,
        repairs=repairs,
    )


@hookimpl
def msp_tools() -> Iterable[Tool]:
    yield from _repairs()
    yield from _credentials()


def _repairs() -> Iterable[Tool]:
    for name, run, summary, effect in (
        ("init", "setup:init", "Create a workspace: configuration and folders", Effect.RECORD),
        ("doctor", "doctor:doctor", "Look for what is broken, and say how to mend it", Effect.READ),
        ("config.check", "configuration:check", "Check the configuration", Effect.READ),
        ("config.show", "configuration:show", "Show every option in use and where it comes from", Effect.READ),
        ("config.schema", "configuration:schema", "Print the JSON Schema of the configuration", Effect.READ),
        ("plugin.list", "plugins:list_plugins", "List installed plugins", Effect.READ),
        ("plugin.show", "plugins:show", "Show what one plugin offers", Effect.READ),
        ("plugin.enable", "plugins:enable", "Use a plugin again", Effect.CHANGE),
        ("plugin.disable", "plugins:disable", "Stop using a plugin", Effect.CHANGE),
    ):  # fmt: skip
        yield _tool(name, run, summary, effect, repairs=True)


def _credentials() -> Iterable[Tool]:
    yield _tool(
        "credential.set", "credentials:set_credential", "Store a secret", Effect.CHANGE,
        example="msp-toolkit credential set rmm api_key",
    )  # fmt: skip
    yield _tool("credential.get", "credentials:get", "Tell where a secret is found", Effect.READ)
    yield _tool(
        "credential.list",
        "credentials:list_credentials",
        "List the names of stored secrets",
        Effect.READ,
    )
    yield _tool("credential.delete", "credentials:delete", "Remove a secret", Effect.DESTROY)
    yield _tool(
        "credential.check",
        "credentials:check",
        "Try the credentials of every adapter",
        Effect.READ,
    )
    yield _tool(
        "credential.migrate", "credentials:migrate", "Copy secrets from one store to another", Effect.CHANGE,
        example="msp-toolkit credential migrate --from env --to keyring --dry-run",
    )  # fmt: skip


@hookimpl
def msp_doctor_checks() -> Iterable[DoctorCheck]:
    yield DoctorCheck(
        id="runtime", title="Python and workspace", run="msp_core.builtin.doctor:runtime"
    )
    yield DoctorCheck(
        id="configuration", title="Configuration", run="msp_core.builtin.doctor:configuration"
    )
    yield DoctorCheck(id="plugins", title="Plugins", run="msp_core.builtin.doctor:plugins")
    yield DoctorCheck(id="credentials", title="Adapters", run="msp_core.builtin.doctor:adapters")
