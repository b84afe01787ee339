"""`credential ...`: store, find, remove, try and move secrets. No command takes a secret as an argument."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

import attrs

from msp_core.secrets import Secret, SecretRef, variable
from msp_core.terminal import ask
from msp_core.v1 import (
    Column,
    ConfirmationRequired,
    Context,
    CredentialError,
    Display,
    Doc,
    Effect,
    InvalidParameters,
    Listing,
    MspError,
    NotSupported,
    Param,
    RateLimited,
    Spelling,
    Status,
    TimedOut,
    VendorUnavailable,
    worst,
)

_PROBE_S = 20.0

Service = Annotated[str, Doc("Service, or service/key in one word."), Param(arg=True)]
Key = Annotated[str | None, Doc("Key."), Param(arg=True)]


def _name(service: str, key: str | None) -> str:
    name = f"{service}/{key}" if key else service
    if not all(name.split("/")) or any(char.isspace() or not char.isprintable() for char in name):
        message = f"{name!r} is not the name of a secret."
        raise InvalidParameters(
            message, suggestion="Write it as service and key: credential set rmm api_key"
        )
    return name


def _writable(ctx: Context, scheme: str | None) -> str:
    known = [one.scheme for one in ctx.toolkit.secrets.providers() if one.writable]
    if scheme is None and known:
        return known[0]
    if scheme in known:
        return str(scheme)
    if scheme is None:
        message = "No store that secrets can be written to is installed."
        raise CredentialError(
            message, suggestion="Run: pip install msp-secrets-file (or msp-secrets-keyring)"
        )
    ctx.toolkit.secrets.store(scheme)
    message = f"The store {scheme!r} cannot be written to."
    raise CredentialError(
        message, suggestion=f"Choose one of: {', '.join(known) or 'none installed'}."
    )


async def set_credential(
    ctx: Context,
    service: Service,
    key: Key = None,
    *,
    store: Annotated[
        str | None, Doc("Where: file, keyring, ... (the first one installed).")
    ] = None,
    stdin: Annotated[bool, Doc("Read the secret from standard input.")] = False,
) -> str:
    """Store a secret.

    It is asked for without echo, or read from standard input; never taken from the command line, which others can see.
    """
    name, scheme = _name(service, key), _writable(ctx, store)
    value = "" if ctx.dry_run else _read(name, from_stdin=stdin, interactive=ctx.interactive)

    async def apply() -> str:
        await asyncio.to_thread(ctx.toolkit.secrets.store(scheme).set, name, value)
        return f"Stored {scheme}:{name}."

    return str(
        await ctx.change(
            "credential.set", f"{scheme}:{name}", apply,
            key=f"credential:{scheme}:{name}:{ctx.correlation_id}",
            preview=f"store a secret at {scheme}:{name}", idempotent=True,
        )
    )  # fmt: skip


def _read(name: str, *, from_stdin: bool, interactive: bool) -> str:
    if from_stdin or not sys.stdin.isatty():
        value = sys.stdin.readline().rstrip("\r\n")
    else:
        value = ask(f"Secret for {name} (not shown)", "", no_input=not interactive, hide=True)
    if not value:
        message = f"No secret was given for {name}."
        raise ConfirmationRequired(
            message, suggestion="Type it at the prompt, or pipe it in with --stdin."
        )
    return Secret(value).reveal()


@attrs.frozen(kw_only=True)
class Found:
    """Where a secret is found. `value` is a mask unless it was asked for."""

    DISPLAY: ClassVar[Display] = Display(
        summary=lambda one: one.value if one.revealed else f"{one.name}: found at {one.origin}"
    )

    name: str
    origin: str
    value: str
    revealed: bool


async def get(
    ctx: Context,
    service: Service,
    key: Key = None,
    *,
    store: Annotated[str | None, Doc("Look here only.")] = None,
    reveal: Annotated[bool, Doc("Print the secret itself.")] = False,
) -> Found:
    """Tell where a secret is found; environment first, then the other stores in order."""
    name = _name(service, key)
    schemes = [store] if store else [one.scheme for one in ctx.toolkit.secrets.providers()]
    for scheme in schemes:
        try:
            value = await asyncio.to_thread(ctx.toolkit.secrets.store(scheme).get, name)
        except CredentialError as error:
            if store:
                raise
            ctx.warn(f"{scheme}: {error.message}")
            continue
        if value is not None:
            shown = value if reveal else "********"
            return Found(name=name, origin=f"{scheme}:{name}", value=shown, revealed=reveal)
    message = f"There is no secret {name}."
    raise CredentialError(
        message,
        suggestion=f"Set {variable(name)}, or run: msp-toolkit credential set {name}",
        name=name,
    )


@attrs.frozen(kw_only=True)
class Stored:
    """The name of a secret in a store."""

    DISPLAY: ClassVar[Display] = Display(columns=(Column("store"), Column("name")))

    store: str
    name: str


async def list_credentials(
    ctx: Context, *, store: Annotated[str | None, Doc("This store only.")] = None
) -> Listing[Stored]:
    """List the names of stored secrets; never a value.

    Of the environment: what is named like a secret, and what the configuration refers to.
    """
    found: list[Stored] = []
    notes: list[str] = []
    for provider in ctx.toolkit.secrets.providers():
        if store not in (None, provider.scheme):
            continue
        try:
            opened = ctx.toolkit.secrets.store(provider.scheme)
            names = await asyncio.to_thread(opened.names)
            if provider.scheme == "env":
                used = {name for name in _referenced(ctx.toolkit.config.data) if opened.get(name)}
                names = sorted(used.union(names))
            found.extend(Stored(store=provider.scheme, name=name) for name in names)
        except (CredentialError, NotSupported) as error:
            notes.append(f"{provider.scheme}: {error.message}")
    if store is not None and store not in {one.scheme for one in ctx.toolkit.secrets.providers()}:
        ctx.toolkit.secrets.store(store)
    return Listing(items=tuple(found), total=len(found), notes=tuple(notes))


def _referenced(value: Any) -> Iterator[str]:
    """Yield the variables a configuration names: in references, `env:NAME`, and as `<option>_env`."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, str) and str(key).endswith("_env"):
                yield inner
            yield from _referenced(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _referenced(inner)
    elif isinstance(value, str) and value.startswith("env:"):
        yield value.removeprefix("env:")


async def delete(
    ctx: Context,
    service: Service,
    key: Key = None,
    *,
    store: Annotated[str | None, Doc("Where to remove it (the first writable store).")] = None,
) -> str:
    """Remove a secret from one store."""
    name, scheme = _name(service, key), _writable(ctx, store)

    async def apply() -> str:
        there = await asyncio.to_thread(ctx.toolkit.secrets.store(scheme).delete, name)
        if not there:
            message = f"There is no secret at {scheme}:{name}."
            raise CredentialError(message, suggestion="See: msp-toolkit credential list")
        return f"Removed {scheme}:{name}."

    return str(
        await ctx.change(
            "credential.delete", f"{scheme}:{name}", apply, effect=Effect.DESTROY,
            key=f"credential-delete:{scheme}:{name}:{ctx.correlation_id}",
            preview=f"remove the secret at {scheme}:{name}",
        )
    )  # fmt: skip


@attrs.frozen(kw_only=True)
class Tried:
    """How the credentials of one adapter did."""

    adapter: str
    status: Status
    message: str
    fix: str


@attrs.frozen(kw_only=True)
class Trial:
    """How all of them did."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(Column("adapter"), Column("status"), Column("message"), Column("fix")),
        rows="adapters",
        empty="No adapters are configured.",
    )

    adapters: tuple[Tried, ...]

    @property
    def exit_code(self) -> int:
        """0 when every adapter answered."""
        return worst(one.status for one in self.adapters).exit_code if self.adapters else 0


async def check(ctx: Context) -> Trial:
    """Try the credentials of every adapter with one cheap authenticated call."""
    names = [one.name for one in ctx.toolkit.instances()]
    return Trial(adapters=tuple(await asyncio.gather(*(probe(ctx, name) for name in names))))


async def probe(ctx: Context, instance: str) -> Tried:
    """Try one adapter; its failure is the answer, not an error."""
    try:
        async with asyncio.timeout(_PROBE_S):
            adapter = await ctx.adapter(instance)
            message = await adapter.probe(ctx)
    except MspError as error:
        away = isinstance(error, VendorUnavailable | RateLimited | TimedOut)
        status = Status.UNKNOWN if away else Status.CRITICAL
        return Tried(adapter=instance, status=status, message=error.message, fix=error.suggestion)
    except TimeoutError:
        return Tried(
            adapter=instance,
            status=Status.UNKNOWN,
            message=f"no answer in {_PROBE_S:g} s",
            fix="Check address and network.",
        )
    except Exception as error:
        return Tried(
            adapter=instance,
            status=Status.ERROR,
            message=f"{type(error).__name__}: {error}",
            fix="Report it to the plugin's author.",
        )
    return Tried(adapter=instance, status=Status.OK, message=message, fix="")


@attrs.frozen(kw_only=True)
class Moved:
    """What became of one secret in a migration."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(Column("name"), Column("source"), Column("target"), Column("state")),
        empty="Nothing to copy.",
    )

    name: str
    source: str
    target: str
    state: str
    """`would be copied`, `copied and verified`, `there already` or `kept` where the target holds another value."""


async def migrate(
    ctx: Context,
    *,
    from_: Annotated[
        str, Doc("Store to copy from: env, file, keyring."), Param(cli=(Spelling("--from"),))
    ],
    to: Annotated[str, Doc("Store to copy to.")],
    replace: Annotated[bool, Doc("Replace other values of the same name in the target.")] = False,
) -> Listing[Moved]:
    """Copy secrets from one store to another.

    Every copy is read back and compared. Nothing is removed from the first store, and another value in the target is
    kept unless it shall be replaced. From `env` it copies the credentials that the configured adapters use.
    """
    target_scheme = _writable(ctx, to)
    source, target = ctx.toolkit.secrets.store(from_), ctx.toolkit.secrets.store(target_scheme)
    moved: list[Moved] = []
    for name, origin in await asyncio.to_thread(_names_in, ctx, from_):
        value = await asyncio.to_thread(source.get, origin)
        if value is None:
            continue
        secret = Secret(value)
        there = await asyncio.to_thread(target.get, name)
        state = "there already" if there == secret.reveal() else "would be copied"
        if there is not None and state == "would be copied" and not replace:
            state = "kept"
        if state == "would be copied":

            async def apply(name: str = name, secret: Secret = secret) -> str:
                await asyncio.to_thread(target.set, name, secret.reveal())
                if await asyncio.to_thread(target.get, name) != secret.reveal():
                    message = f"{to}:{name} did not come back as it was written."
                    raise CredentialError(
                        message, suggestion="Nothing was removed; check the store and try again."
                    )
                return "copied and verified"

            result = await ctx.change(
                "credential.copy", f"{to}:{name}", apply,
                key=f"credential-copy:{to}:{name}:{ctx.correlation_id}",
                preview=f"copy {from_}:{origin} to {to}:{name}", idempotent=True,
            )  # fmt: skip
            state = result if isinstance(result, str) else state
        moved.append(
            Moved(name=name, source=f"{from_}:{origin}", target=f"{to}:{name}", state=state)
        )
    notes = []
    if any(one.state == "kept" for one in moved):
        notes.append(
            f"What is kept has another value in {to}; --replace takes the one from {from_}."
        )
    elif moved and from_ == "env" and not ctx.dry_run:
        notes.append(
            "Remove the references to env: from the configuration, so that the copies are used, then the variables."
        )
    return Listing(items=tuple(moved), total=len(moved), notes=tuple(notes))


def _names_in(ctx: Context, scheme: str) -> list[tuple[str, str]]:
    """Return target name and source name of every secret to copy."""
    if scheme != "env":
        return [(name, name) for name in ctx.toolkit.secrets.store(scheme).names()]
    found = []
    for instance in ctx.toolkit.instances():
        for credential in instance.adapter.credentials:
            ref: SecretRef | str | None = getattr(instance.settings, credential.name, None)
            if isinstance(ref, str):
                continue  # no secret: it stands in the configuration
            name = f"{instance.name}/{credential.name}"
            if ref is None or ref.scheme == "env":
                found.append((name, ref.name if ref else name))
    return found
