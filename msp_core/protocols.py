"""What adapters, secret stores and guards can do: one small Protocol per capability."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from attrs import field, frozen

from msp_core.data import Data
from msp_core.records import Effect, Surface

if TYPE_CHECKING:
    from msp_core.checks import Target
    from msp_core.context import Context, Planned
    from msp_core.questions import Question
    from msp_core.secrets import Secret
    from msp_core.vendor import (
        Command,
        CommandResult,
        DeploymentResult,
        Quarantined,
        VendorAlert,
        VendorClient,
        VendorDevice,
        VendorSite,
    )

T = TypeVar("T")


@runtime_checkable
class Probes(Protocol):
    """Every adapter: proves that the system answers and takes the credentials."""

    async def probe(self, ctx: "Context") -> str:
        """Make one cheap authenticated call; return a line for people, raise VendorError or AuthenticationFailed."""
        ...

    async def aclose(self) -> None:
        """Close connections; called once."""
        ...


@runtime_checkable
class ListsClients(Protocol):
    """Knows clients and their sites."""

    def list_clients(self, ctx: "Context") -> "AsyncIterator[VendorClient | Quarantined]":
        """Yield every client the credentials can see."""
        ...

    def list_sites(self, ctx: "Context") -> "AsyncIterator[VendorSite | Quarantined]":
        """Yield every site."""
        ...


@runtime_checkable
class ListsDevices(Protocol):
    """Knows devices."""

    def list_devices(
        self, ctx: "Context", client_external_ids: Sequence[str] | None = None
    ) -> "AsyncIterator[VendorDevice | Quarantined]":
        """Yield the devices of these clients (None: all), each exactly once, whatever the vendor's paging does."""
        ...


@runtime_checkable
class ReadsAlerts(Protocol):
    """Knows alerts."""

    def read_alerts(
        self,
        ctx: "Context",
        client_external_ids: Sequence[str] | None = None,
        since: datetime | None = None,
    ) -> "AsyncIterator[VendorAlert | Quarantined]":
        """Yield the open alerts of these clients (None: all), opened at or after `since`."""
        ...


@runtime_checkable
class RunsCommands(Protocol):
    """Runs a command line on a device."""

    async def run_command(
        self, ctx: "Context", target: "Target", command: "Command"
    ) -> "CommandResult":
        """Run the command and wait for its result, at most `command.timeout`.

        The caller has gone through the door for changes. Raises NotSupported where the device cannot run it.
        """
        ...


@runtime_checkable
class DeploysAgents(Protocol):
    """Prepares or starts the installation of the vendor's agent."""

    async def deploy_agent(
        self,
        ctx: "Context",
        *,
        client_external_id: str,
        site_external_id: str | None,
        platform: str,
    ) -> "DeploymentResult":
        """Give an installer for a client's new machines. `platform` is `windows`, `linux` or `macos`.

        The caller has gone through the door for changes.
        """
        ...


class SecretStore(Protocol):
    """A place secrets live. Names look like `service/key`. Methods may block; the kernel calls them in a thread."""

    def get(self, name: str) -> str | None:
        """Return the secret, or None when there is none of that name; raise CredentialError when the store is shut."""
        ...

    def set(self, name: str, value: str) -> None:
        """Store the secret durably before returning."""
        ...

    def delete(self, name: str) -> bool:
        """Remove the secret; tell whether there was one."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names of all secrets, never a value; raise NotSupported where the store cannot list."""
        ...


class Progress(Protocol):
    """Hears how far long work has come."""

    def update(self, done: int, total: int | None, text: str = "") -> None:
        """Say how far the work is; cheap enough to call for every item."""
        ...


class Asks(Protocol):
    """Puts questions to the person behind a call: at the terminal, in the window of their agent."""

    async def ask(self, question: "Question") -> Mapping[str, Any] | None:
        """Return the values of the form's fields; None where the person declines.

        Raise ConfirmationRequired where nobody can be asked after all.
        """
        ...


@frozen(kw_only=True, eq=False, repr=False)
class Actor(Data):
    """Who does something: `local:<user>`, `key:<id>`, `schedule:<name>`, `plugin:<id>`."""

    id: str
    kind: str = "local"


@frozen(kw_only=True, eq=False, repr=False)
class Scope(Data):
    """What an actor may touch. `clients` None means every client; `tools` None means every tool."""

    clients: frozenset[str] | None = None
    tools: frozenset[str] | None = None
    max_effect: Effect = Effect.DESTROY

    def allows_client(self, client_id: str) -> bool:
        """Tell whether this client is inside the scope."""
        return self.clients is None or client_id in self.clients


@frozen(kw_only=True, eq=False, repr=False)
class Call(Data):
    """One call of a tool, before it runs. `arguments` have secrets masked."""

    tool: str
    effect: Effect
    surface: Surface
    actor: Actor
    scope: Scope
    correlation_id: str
    started_at: datetime
    dry_run: bool
    arguments: Mapping[str, Any] = field(factory=dict)
    plan: str = ""
    """The id of the plan it carries out."""
    digest: str = ""
    """Hash of the arguments of a change as they were given: two that differ only in what is masked are not the same."""


@frozen(kw_only=True, eq=False, repr=False)
class Grant(Data):
    """What an authorised call may do: a scope never wider than the one asked for, and whether it may only read."""

    scope: Scope
    read_only: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class Outcome(Data):
    """How a call ended: `ok`, `planned`, `refused`, `failed` or `cancelled`, with the error code."""

    status: str
    duration_ms: float
    error_code: str = ""
    message: str = ""


@frozen(kw_only=True, eq=False, repr=False)
class Change(Data):
    """One alteration outside our own records, before it is applied. `key` makes it the same change when repeated."""

    kind: str
    target: str
    key: str
    effect: Effect
    actor: Actor
    correlation_id: str
    client_id: str | None = None
    preview: str = ""


class ChangeState(Protocol):
    """What the journal knows about a change of this key."""

    @property
    def state(self) -> str:
        """`new`, `in-flight` (a process died while applying it), `done` or `failed`."""
        ...

    @property
    def result(self) -> Any:
        """The JSON result of a change that is done."""
        ...


class Guard(Protocol):
    """Decides who may do what, and keeps the audit trail and the journal of changes.

    The kernel asks it for every tool call and every change, on every surface. Without a guard only the local user's
    own commands run.
    """

    async def authorise(self, call: Call) -> Grant | None:
        """Let the call pass, within the limits returned (None: as asked), or raise PermissionDenied, ApprovalRequired
        or RateLimited.

        It is asked, as for a dry run, also of calls that can only be refused, so that it can count them.
        """
        ...

    async def grant(self, actor: Actor, scope: Scope, surface: Surface) -> Grant:
        """Return what somebody may do on a surface before they call anything, so that it offers them no more."""
        ...

    async def record(self, call: Call, outcome: Outcome) -> None:
        """Add the call to the audit trail, refused ones included; raise StoreError where that cannot be done now.

        The result of a call that is not noted does not leave. Once begun, it ends also where its caller is cancelled.
        """
        ...

    async def begin_change(self, call: Call, change: Change) -> ChangeState:
        """Commit the intention before anything is altered; raise ApprovalRequired or PermissionDenied to stop it."""
        ...

    async def finish_change(self, change: Change, *, ok: bool, result: Any) -> None:
        """Note how the change ended. `result` is JSON data."""
        ...


@frozen(kw_only=True, eq=False, repr=False)
class Proposal(Data):
    """A call that was planned and not made. It is made by the same call with this id, once, before it expires.

    `person` tells whether somebody has to approve it first; `reason` says why.
    """

    id: str
    person: bool
    reason: str
    expires_at: datetime


class Approvals(Protocol):
    """Keeps plans of calls that a model, not a person, decided on."""

    async def propose(self, call: Call, planned: "Sequence[Planned]") -> Proposal:
        """Store what the call would change; raise PermissionDenied where its actor may not, approved or not."""
        ...

    async def decide(self, call: Call, plan_id: str, *, approve: bool, by: str) -> None:
        """Note what a person said whom the surface asked; `by` says who and how. Raise Conflict for a stale plan."""
        ...


@frozen(kw_only=True, eq=False, repr=False)
class Principal(Data):
    """Whom a key stands for, and what it may do."""

    actor: Actor
    scope: Scope
    read_only: bool


class Keys(Protocol):
    """Knows the keys that stand for callers from outside."""

    async def principal(self, key: str) -> Principal | None:
        """Return whom a key stands for; None where it is unknown, revoked or has expired."""
        ...

    async def any(self) -> bool:
        """Tell whether a key was ever made; from then on callers need one, also when the last one is gone."""
        ...


class SecretEnv(Protocol):
    """What a secret provider may know about where it runs."""

    @property
    def state_dir(self) -> "Any":
        """Folder (`pathlib.Path`) for the workspace's private files; made on first use with mode 0700."""
        ...

    def environ(self, name: str) -> str | None:
        """Return an environment variable (process, then `.env`)."""
        ...


class AdapterEnv(Protocol):
    """What an adapter is built from."""

    @property
    def instance(self) -> str:
        """The instance's name in the configuration."""
        ...

    @property
    def settings(self) -> Any:
        """An instance of the adapter's settings class."""
        ...

    async def secret(self, name: str) -> "Secret":
        """Resolve a credential by settings field; raise CredentialError saying how to provide it."""
        ...

    async def get(self, service: type[T]) -> T:
        """Get a service by its Protocol, such as `msp_http.api:HttpClients`."""
        ...

    def now(self) -> datetime:
        """Return the time by the toolkit's clock, aware UTC."""
        ...
