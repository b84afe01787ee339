"""`init`: create a workspace."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_args, get_type_hints

import attrs

from msp_core.errors import ConfigError
from msp_core.secrets import SecretRef
from msp_core.sections import KERNEL_SECTIONS
from msp_core.structure import plain
from msp_core.terminal import ask
from msp_core.v1 import Context, Display, Doc, InvalidParameters, Param, Settings
from msp_core.workspace import FILE_NAMES

_ADAPTERS = """
# Each system you work with is an adapter: a name of your choice, and its kind. Secrets are never written here, only
# where they are found: env:NAME, file:service/key, keyring:service/key. Left out, the toolkit looks for
# <NAME>_<FIELD> in the environment and .env, then for <name>/<field> in the other stores.
#
# [adapters.rmm]
# kind = "ninjaone"
# api_url = "https://eu.ninjarmm.com"
# client_id = "env:NINJA_CLIENT_ID"
# client_secret = "keyring:ninja/client_secret"
"""


@attrs.frozen(kw_only=True)
class Workspace:
    """What `init` made, and what was there already."""

    DISPLAY: ClassVar[Display] = Display(summary=lambda made: made.text())

    config: Path
    created: tuple[str, ...]
    kept: tuple[str, ...]

    def text(self) -> str:
        """Say what was made, and what to do next."""
        lines = [f"created  {name}" for name in self.created] + [
            f"kept     {name}" for name in self.kept
        ]
        return "\n".join(
            [
                *lines,
                "",
                "Next:",
                "  msp-toolkit doctor                         see that everything works",
                '  msp-toolkit client add --name "Acme Corp"  add a client',
                "  msp-toolkit lab up --detach                try it on simulated vendors",
            ]
        )


async def init(
    ctx: Context,
    *,
    directory: Annotated[Path, Doc("Folder to set up.")] = Path(),
    company: Annotated[str | None, Doc("Your company's name.")] = None,
    timezone: Annotated[
        str | None, Doc("Zone in which people are shown times, such as Europe/Berlin.")
    ] = None,
    format: Annotated[str, Doc("File format."), Param(choices=("toml", "yaml", "json"))] = "toml",
) -> Workspace:
    """Create a workspace: configuration and folders.

    Running it again keeps what is there.
    """
    root = directory.absolute()
    file = root / "config" / f"msp-toolkit.{format}"
    there = next((root / name for name in FILE_NAMES if (root / name).exists()), None)
    created, kept = [], []
    if there is not None:
        file = there
        kept.append(_shown(there, root))
    else:
        values = _answers(ctx, company, timezone)
        text = _document(ctx, values, format)
        if not ctx.dry_run:
            _write_new(file, text)
        created.append(_shown(file, root))
    for name in ("data", "config/conf.d"):
        folder = root / name
        (kept if folder.is_dir() else created).append(f"{name}/")
        if not ctx.dry_run:
            _make(folder)
    ignore = root / ".gitignore"
    if not ignore.exists():
        created.append(".gitignore")
        if not ctx.dry_run:
            _write_new(ignore, ".env\n.msp/\ndata/\n")
    return Workspace(config=file, created=tuple(created), kept=tuple(kept))


def _answers(ctx: Context, company: str | None, timezone: str | None) -> dict[str, str]:
    general = KERNEL_SECTIONS["general"]()
    values = {
        "company_name": company
        or ask("Your company's name", general.company_name, no_input=not ctx.interactive),
        "timezone": timezone
        or ask("Your time zone", general.timezone, no_input=not ctx.interactive),
    }
    try:
        type(general)(**values)
    except ValueError as error:
        raise InvalidParameters(
            f"init: {error}", suggestion="Give --timezone a name such as Europe/Berlin or UTC."
        ) from None
    return values


def _document(ctx: Context, values: Mapping[str, str], format: str) -> str:
    sections = {**KERNEL_SECTIONS}
    for record in ctx.toolkit.registry.records(Settings):
        sections[record.section] = ctx.toolkit.registry.load(record.type)
    if format == "toml":
        return _toml(sections, values)
    data = {"general": {**plain(sections["general"]()), **values}}
    data["general"] = {key: value for key, value in data["general"].items() if value is not None}
    if format == "json":
        import json

        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    import yaml

    return "# MSP Toolkit Configuration\n" + str(
        yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    )


def _toml(sections: Mapping[str, type], values: Mapping[str, str]) -> str:
    parts = [
        "# MSP Toolkit configuration. Every option is shown with its default; remove the # to change one.\n"
    ]
    for name, type_ in sections.items():
        doc = (type_.__doc__ or "").strip().splitlines()
        parts.append(f"\n[{name}]" + (f"\n# {doc[0]}" if doc else ""))
        parts.extend(_options(type_, values if name == "general" else {}))
    return "\n".join(parts) + "\n" + _ADAPTERS


def _options(type_: type, values: Mapping[str, str]) -> list[str]:
    import tomli_w

    hints = get_type_hints(type_, include_extras=True)
    lines = []
    for one in attrs.fields(type_):
        hint = hints[one.name]
        doc = next((extra.text for extra in get_args(hint)[1:] if isinstance(extra, Doc)), "")
        default = one.default.factory() if isinstance(one.default, attrs.Factory) else one.default  # type: ignore[arg-type]
        value = values.get(one.name, plain(default) if default is not attrs.NOTHING else None)
        if doc:
            lines.append(f"# {doc}")
        if isinstance(value, dict) or _is_secret(hint):
            continue
        shown = "" if value is None else tomli_w.dumps({one.alias: value}).strip()
        given = one.name in values
        lines.append(
            shown
            if given
            else "\n".join(f"# {line}" for line in (shown or f"{one.alias} =").splitlines())
        )
    return lines


def _is_secret(hint: Any) -> bool:
    return "SecretRef" in str(hint) or hint is SecretRef


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"The folder {folder} cannot be made: {error.strerror}."
        raise ConfigError(
            message, suggestion="Choose another --directory, or mend its permissions."
        ) from None


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step; a crash leaves the old one whole. Raises ConfigError when that cannot be done."""
    path = path.resolve()  # a linked configuration stays linked
    _make(path.parent)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            target.write(text)
            target.flush()
            os.fsync(target.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        message = f"{path} cannot be written: {error.strerror}."
        raise ConfigError(
            message, suggestion="Mend the folder's permissions or free space."
        ) from None


def _write_new(path: Path, text: str) -> None:
    if not path.exists():
        write_atomically(path, text)
