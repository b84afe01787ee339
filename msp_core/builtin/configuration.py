"""`config check`, `config show`, `config schema`: look at the configuration."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import attrs

from msp_core.config import Instance
from msp_core.program import typed
from msp_core.references import secret_fields
from msp_core.schema import object_schema
from msp_core.secrets import SecretRef, variable
from msp_core.sections import KERNEL_SECTIONS
from msp_core.structure import plain
from msp_core.v1 import Adapter, Column, Context, Credential, Display, Listing, Settings


@attrs.frozen(kw_only=True)
class Need:
    """A credential an adapter needs, and where it is found now (empty: nowhere)."""

    adapter: str
    credential: str
    found: str
    hint: str


@attrs.frozen(kw_only=True)
class Checked:
    """What `config check` found: a configuration that can be used, with warnings and the credentials it needs."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(
            Column("adapter"),
            Column("credential"),
            Column("found"),
            Column("hint", "how to provide it"),
        ),
        rows="credentials",
        summary=lambda checked: checked.text(),
        empty="",
    )

    file: str
    warnings: tuple[str, ...]
    credentials: tuple[Need, ...]

    def text(self) -> str:
        """Say in a few lines what was found."""
        missing = sum(1 for need in self.credentials if not need.found)
        lines = [f"{self.file}: correct."]
        lines.extend(f"Warning: {text}" for text in self.warnings)
        if missing:
            lines.append(f"{missing} credential{'s are' if missing > 1 else ' is'} not set yet.")
        return "\n".join(lines)


async def check(ctx: Context) -> Checked:
    """Check the configuration.

    Names every wrong key or value with file, path, reason and nearest valid name, and every credential that the
    configured adapters need.
    """
    toolkit = ctx.toolkit
    warnings = toolkit.config.check(toolkit.registry)
    return Checked(
        file=str(toolkit.config.path or "No configuration file"),
        warnings=warnings,
        credentials=tuple(_needs(ctx)),
    )


def _needs(ctx: Context) -> Iterable[Need]:
    for instance in ctx.toolkit.instances():
        for credential in instance.adapter.credentials:
            ref: SecretRef | str | None = getattr(instance.settings, credential.name, None)
            name = f"{instance.name}/{credential.name}"
            found = ""
            if isinstance(ref, str):
                found = "the configuration" if ref else ""
            elif ref is None:
                secret = ctx.toolkit.secrets.find(name)
                found = secret.origin if secret else ""
            elif ctx.toolkit.secrets.store(ref.scheme).get(ref.name) is not None:
                found = str(ref)
            named = isinstance(ref, SecretRef)  # somebody counts on it, needed or not
            if not found and not named and not _is_needed(ctx, instance, credential):
                continue
            hint = (
                ""
                if found
                else (
                    f"set {ref}"
                    if ref
                    else typed(f"{variable(name)}=... or: msp-toolkit credential set {name}")
                )
            )
            yield Need(adapter=instance.name, credential=credential.name, found=found, hint=hint)


def _is_needed(ctx: Context, instance: Instance, credential: Credential) -> bool:
    """Tell whether an adapter cannot do without a credential: required, and no other takes its place."""
    other = credential.unless
    if not credential.required or (other and getattr(instance.settings, other, None) is not None):
        return False
    return not other or ctx.toolkit.secrets.find(f"{instance.name}/{other}") is None


@attrs.frozen(kw_only=True)
class Option:
    """One option in use."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(Column("option"), Column("value"), Column("origin"))
    )

    option: str
    value: Any
    origin: str


async def show(ctx: Context) -> Listing[Option]:
    """Show every option in use and where it comes from.

    Secrets appear as references, never as values.
    """
    config = ctx.toolkit.config
    found: list[Option] = []
    for name, type_ in _sections(ctx).items():
        for path, value in _flat(plain(config.view(type_, name)), name):
            found.append(Option(option=path, value=value, origin=_origin(ctx, path)))
    for instance in ctx.toolkit.instances():
        base = f"adapters.{instance.name}"
        found.append(
            Option(option=f"{base}.kind", value=instance.adapter.id, origin=instance.origin)
        )
        for path, value in _flat(plain(instance.settings), base):
            origin = _instance_origin(ctx, instance, path.removeprefix(f"{base}."))
            found.append(Option(option=path, value=value, origin=origin))
    return Listing(items=tuple(found), total=len(found))


async def schema(ctx: Context) -> dict[str, Any]:
    """Print the JSON Schema of the configuration.

    It describes what is installed: every section, and every adapter kind under `adapters`.
    """
    kinds = []
    for adapter in ctx.toolkit.registry.records(Adapter):
        one = _option_schema(ctx.toolkit.registry.load(adapter.settings))
        one["properties"]["kind"] = {"enum": [adapter.id, *adapter.aliases]}
        one["required"] = ["kind", *one.get("required", [])]
        one["title"] = adapter.title
        kinds.append(one)
    properties: dict[str, Any] = {
        name: {"description": (type_.__doc__ or "").strip(), **_option_schema(type_)}
        for name, type_ in _sections(ctx).items()
    }
    properties["adapters"] = {
        "type": "object",
        "additionalProperties": {"anyOf": kinds} if kinds else {},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "MSP Toolkit configuration",
        "type": "object",
        "properties": properties,
    }


def _option_schema(class_: type) -> dict[str, Any]:
    """Return the schema of a table, with the second form of each secret: `<option>_env`, but never both."""
    schema = object_schema(class_)
    for name in secret_fields(class_):
        other = f"{name}_env"
        schema["properties"][other] = {
            "type": "string",
            "description": f"Environment variable that holds {name}; instead of {name}.",
        }
        schema.setdefault("dependentSchemas", {})[other] = {"properties": {name: False}}
        if name in schema.get("required", ()):
            schema["required"].remove(name)
            either = {"anyOf": [{"required": [name]}, {"required": [other]}]}
            schema.setdefault("allOf", []).append(either)
    return schema


def _sections(ctx: Context) -> dict[str, type]:
    registry = ctx.toolkit.registry
    return {
        **KERNEL_SECTIONS,
        **{one.section: registry.load(one.type) for one in registry.records(Settings)},
    }


def _flat(value: Any, path: str) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}")
    else:
        yield path, value


def _origin(ctx: Context, path: str) -> str:
    origins = ctx.toolkit.config.origins
    return origins.get(path) or origins.get(f"{path}_env", "default")


def _instance_origin(ctx: Context, instance: Instance, option: str) -> str:
    """Return where an adapter's option comes from, be it written as the option or as `<option>_env`."""
    config = ctx.toolkit.config
    given = config.data.get("adapters", {}).get(instance.name, {})
    first, dot, rest = option.partition(".")
    word = next((one for one in (first, f"{first}_env") if one in given), None)
    if word is None:
        return "default"
    return config.origin(f"{config.instance_path(instance.name)}.{word}{dot}{rest}")
