"""What hooks return: frozen records that describe a plugin's parts and name their behaviour as `module:attribute`.

A record is data. The behaviour it names is imported when it is first used, so a plugin costs nothing until then.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import Any

from attrs import field, frozen, validators

from msp_core.data import Data

_REF = r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*"
_ID = r"[a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)*"


def _matches(pattern: str, what: str) -> Any:
    def check(_instance: object, attribute: Any, value: object) -> None:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            message = f"{attribute.name}={value!r} is not {what}"
            raise ValueError(message)

    return check


def is_tuple(_instance: object, attribute: Any, value: object) -> None:
    """Demand a tuple, which is a comma more than a value in brackets."""
    if not isinstance(value, tuple):
        shown = getattr(value, "__name__", repr(value))
        message = f"{attribute.name} is no tuple; write {attribute.name}=({shown},)"
        raise ValueError(message)


is_ref = _matches(_REF, "a reference like 'package.module:name'")
is_id = _matches(_ID, "an id like 'disk' or 'health.check' (lower case, digits, hyphens, dots)")


class Effect(IntEnum):
    """What a tool, request or command alters; each level includes the ones before it.

    READ: nothing. PROBE: nothing, but runs a fixed read-only command on a client's device. RECORD: only our own
    records. CHANGE: a client's systems, a vendor or our configuration. DESTROY: the same, beyond recall.
    """

    READ = 0
    PROBE = 1
    RECORD = 2
    CHANGE = 3
    DESTROY = 4


class Surface(StrEnum):
    """Where a tool can be called from."""

    CLI = "cli"
    MCP = "mcp"
    PYTHON = "python"
    WORKFLOW = "workflow"
    SCHEDULE = "schedule"


ALL_SURFACES = frozenset(Surface)


@frozen(eq=False, repr=False)
class Doc(Data):
    """Text of a parameter, shown in help and in schemas: `Annotated[int, Doc("Days to look back.")]`."""

    text: str


@frozen(eq=False, repr=False)
class Spelling(Data):
    """One way to write a parameter on the command line.

    `const` is the value the bare flag stands for (`--last-30-days`); without it the flag takes a value.
    """

    flag: str
    const: Any = None
    metavar: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Param(Data):
    """How a parameter appears outside Python: `Annotated[ClientRef | None, Param(arg=True, all_flag=True)]`.

    `arg` makes it a positional argument; `cli` replaces the flag made from its name; `mcp` renames it in the MCP
    schema; `choices` is a list or the name of a registry (`checks`, `adapters`, `tools`); `required_on` lists
    surfaces that demand it although Python has a default; `all_flag` makes the command line ask for a value or `--all`
    (a READ tool means all where neither is given); `selects` marks an option that chooses in place of `--all`;
    `least` and `most` are the bounds of a number.
    """

    arg: bool = False
    cli: tuple[Spelling, ...] = ()
    mcp: str | None = None
    choices: str | tuple[str, ...] | None = None
    required_on: tuple[Surface, ...] = ()
    all_flag: bool = False
    selects: bool = False
    least: int | None = None
    most: int | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Tool(Data):
    """A capability: one typed function that every surface offers.

    `run` names `async def run(ctx: Context, ...)`; its signature, types and docstring make the command line, the
    schemas and the workflow step. `name` is `group.verb`. A missing effect counts as DESTROY.
    `cli` overrides the command path (`"device exec"`); `mcp` overrides the MCP name; `example` is one command line.
    `repairs` says that people mend an installation with it: as a command it also runs on a wrong configuration, and one
    of the kernel's where the access control that a change asks is broken.
    """

    name: str = field(validator=is_id)
    run: str = field(validator=is_ref)
    summary: str = field(validator=validators.min_len(1))
    effect: Effect = Effect.DESTROY
    surfaces: frozenset[Surface] = ALL_SURFACES
    cli: str | None = None
    mcp: str | None = None
    aliases: tuple[str, ...] = ()
    example: str = ""
    timeout: timedelta | None = None
    repairs: bool = False

    @property
    def id(self) -> str:
        """The name."""
        return self.name


@frozen(kw_only=True, eq=False, repr=False)
class Service(Data):
    """A service other code gets with `await ctx.get(Type)`.

    `type` names the Protocol, defined in an `api` module (or in `msp_core.v1`); `factory` names
    `def create(toolkit: Toolkit) -> service`, plain or async. It is built once per Toolkit; `aclose()` is called at
    the end where it exists. A service never stores a Context.
    """

    type: str = field(validator=is_ref)
    factory: str = field(validator=is_ref)

    @property
    def id(self) -> str:
        """The type's reference."""
        return self.type


@frozen(kw_only=True, eq=False, repr=False)
class Settings(Data):
    """A section of the configuration and the attrs class that types it; field docs come from `Annotated[..., Doc]`.

    `check` names `def check(settings, registry, adapters) -> Iterable[Problem]` for what types alone cannot say, such
    as names that other plugins give; the path of a problem starts with the section. `adapters` are the configured
    instances by name: each with its Adapter, or None where its plugin is not in use or its options are wrong.
    """

    section: str = field(validator=_matches(r"[a-z][a-z0-9_]*", "a section name"))
    type: str = field(validator=is_ref)
    check: str | None = field(default=None, validator=validators.optional(is_ref))

    @property
    def id(self) -> str:
        """The section's name."""
        return self.section


@frozen(kw_only=True, eq=False, repr=False)
class Migrations(Data):
    """A plugin's database tables: a package of numbered migration modules, run in order, after those of `after`.

    `prune` names what removes old rows: `def prune(tx, before: datetime, limit: int) -> Mapping[str, int]` (rows
    removed, by table); it is called until it removes nothing.
    """

    id: str = field(validator=is_id)
    package: str
    after: tuple[str, ...] = ()
    prune: str | None = field(default=None, validator=validators.optional(is_ref))


@frozen(kw_only=True, eq=False, repr=False)
class SecretProvider(Data):
    """A place secrets live: references `scheme:name` resolve through it.

    `factory` names `def create(env: SecretEnv) -> SecretStore`. `order` is its place when a credential has no
    reference (environment is 0 and always first).
    """

    scheme: str = field(validator=_matches(r"[a-z][a-z0-9]*", "a scheme"))
    title: str
    factory: str = field(validator=is_ref)
    writable: bool = True
    order: int = 50

    @property
    def id(self) -> str:
        """The scheme."""
        return self.scheme


@frozen(kw_only=True, eq=False, repr=False)
class Subscriber(Data):
    """Work done after something was recorded: `run` names `async def run(ctx: Context, event: Event) -> None`.

    It is called after the commit, may do I/O, may fail and is then retried; it must be idempotent.
    """

    id: str = field(validator=is_id)
    event: str
    run: str = field(validator=is_ref)


@frozen(kw_only=True, eq=False, repr=False)
class Event(Data):
    """Something that was recorded. `payload` is small JSON data that names the rows; subscribers read them."""

    id: str
    name: str
    payload: Mapping[str, Any]


@frozen(kw_only=True, eq=False, repr=False)
class DoctorCheck(Data):
    """One thing `doctor` looks at: `run` names `async def run(ctx: Context) -> Iterable[Finding]`."""

    id: str = field(validator=is_id)
    title: str
    run: str = field(validator=is_ref)


@frozen(kw_only=True, eq=False, repr=False)
class Finding(Data):
    """What a doctor check found, and how to mend it."""

    status: Any
    message: str
    fix: str = ""
