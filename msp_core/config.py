"""The configuration: files, overlays, environment and command line, merged in a stated order and typed by section.

Precedence, highest first: command line (`--set`), process environment and `.env` (`MSP_GENERAL__LOG_LEVEL`),
`conf.d/*.toml` beside the file (last name wins), the file itself, built-in defaults.
"""

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from msp_core.catalog import KNOWN_ADAPTERS, SECTIONS, install_line
from msp_core.configfile import read_file
from msp_core.data import Data
from msp_core.environ import Environ
from msp_core.errors import ConfigError
from msp_core.hookspecs import record_of
from msp_core.records import Settings
from msp_core.references import references_of
from msp_core.registry import Registry, known_ids
from msp_core.sections import KERNEL_SECTIONS, General
from msp_core.structure import Problem, Unstructurable, structure
from msp_core.unknown import may_be_of_one_out_of_use, not_there, out_of_use
from msp_core.workspace import find_file, overlays, workspace_root

if TYPE_CHECKING:
    from msp_core.adapters import Adapter

S = TypeVar("S")

_SPECIAL = ("adapters", "rmm", "backup")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Instance(Data):
    """One configured adapter: `[adapters.<name>]`. `settings` is an instance of the adapter's settings class."""

    name: str
    adapter: "Adapter"
    settings: Any
    origin: str


class Config:
    """A merged configuration and where each value came from. Typed views are made on demand and kept."""

    def __init__(
        self,
        path: Path | None,
        root: Path,
        environ: Environ,
        layers: Iterable[tuple[str, Mapping[str, Any]]],
    ) -> None:
        self.path = path
        self.root = root
        self.environ = environ
        self.data: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        for origin, data in layers:
            _merge(self.data, data, origin, self.origins, "")
        self.is_workspace = True
        """False where no configuration was found: nothing may be recorded in a folder just because one stands in it."""
        self._typed: dict[type, Any] = {}
        self._fold_named_providers()

    @classmethod
    def read(
        cls,
        path: Path | str | None = None,
        *,
        overrides: Mapping[str, Any] | None = None,
        process: Mapping[str, str] | None = None,
    ) -> "Config":
        """Read the configuration; raise ConfigError for a file that is missing, unreadable or no table of tables."""
        process = os.environ if process is None else process
        file = find_file(path, process)
        root = workspace_root(file)
        environ = Environ(process, root / ".env")
        layers: list[tuple[str, Mapping[str, Any]]] = []
        if file is not None:
            layers.append((str(file), read_file(file)))
            layers.extend((str(one), read_file(one)) for one in overlays(file))
        layers.append(("environment", environ.options()))
        layers.append(("command line", overrides or {}))
        config = cls(file, root, environ, layers)
        config.is_workspace = file is not None or "database" in config.data
        return config

    @property
    def digest(self) -> str:
        """What changes with any value; a section is typed again when it is used, so no more than that hangs on it."""
        text = json.dumps(self.data, sort_keys=True, default=repr)
        return f"{zlib.crc32(text.encode()):08x}-{len(text)}"

    @property
    def state_dir(self) -> Path:
        """The workspace's folder for private files; made by whoever writes the first one."""
        return self.root / ".msp"

    @property
    def general(self) -> General:
        """The `general` section; its defaults where it is wrong, for the commands that run before `check` or say so."""
        try:
            return self.view(General, "general")
        except ConfigError:
            return General()

    def resolve(self, path: Path) -> Path:
        """Return a path of the configuration as an absolute one; relative ones start at the workspace."""
        return path if path.is_absolute() else self.root / path

    def view(self, type_: type[S], section: str) -> S:
        """Return a section typed; raise ConfigError naming file, path, reason and nearest name."""
        if type_ not in self._typed:
            data = self.data.get(section, {})
            problems: list[Problem] = []
            typed = self._structure(data, type_, section, problems)
            if problems:
                raise self.error(problems)
            self._typed[type_] = typed
        return self._typed[type_]  # type: ignore[no-any-return]

    def check(self, registry: Registry) -> tuple[str, ...]:
        """Type everything that is configured; raise ConfigError with all problems, or return the warnings."""
        problems: list[Problem] = []
        warnings: list[str] = []
        unchecked: list[str] = []
        sections: dict[str, Any] = {}
        for name, data in self.data.items():
            if name in _SPECIAL:
                continue
            type_ = self._type_of(name, registry)
            if type_ is None and registry.safe_mode:
                unchecked.append(name)
            elif type_ is None:
                known = [one.section for one in registry.records(Settings)]
                self._unknown_section(name, known, registry, problems, warnings)
            else:
                typed: Any = self._structure(data, type_, name, problems)
                if typed is not None:
                    self._typed[type_] = sections[name] = typed
        if unchecked:
            text = f"no plugin is loaded, so these are not checked: {', '.join(sorted(unchecked))}"
            warnings.append(f"{self.path}: {text}")
        found = self.instances(registry, problems=problems, warnings=warnings)
        written = self.data.get("adapters")
        names = written if isinstance(written, Mapping) else ()
        adapters: dict[str, Adapter | None] = dict.fromkeys(names)
        adapters |= {one.name: one.adapter for one in found}
        for name, typed in sections.items():
            problems.extend(self._said_by_owner(name, typed, registry, adapters))
        if problems:
            raise self.error(problems)
        return tuple(warnings)

    def _said_by_owner(
        self,
        section: str,
        typed: Any,
        registry: Registry,
        adapters: "Mapping[str, Adapter | None]",
    ) -> Iterable[Problem]:
        """Ask the plugin that owns a section for what its type cannot say."""
        record = registry.find(Settings, section) if section not in KERNEL_SECTIONS else None
        if record is None or record.check is None:
            return ()
        return registry.load(record.check)(typed, registry, adapters)  # type: ignore[no-any-return]

    def _type_of(self, section: str, registry: Registry) -> type | None:
        if section in KERNEL_SECTIONS:
            return KERNEL_SECTIONS[section]
        record = registry.find(Settings, section)
        return None if record is None else registry.load(record.type)

    def instances(
        self,
        registry: Registry,
        *,
        problems: list[Problem] | None = None,
        warnings: list[str] | None = None,
    ) -> tuple[Instance, ...]:
        """Return the configured adapters whose plugin is installed, sorted by name, without the implicit ones."""
        wrong: list[Problem] = [] if problems is None else problems
        found = []
        configured = self.data.get("adapters", {})
        if not isinstance(configured, Mapping):
            wrong.append(Problem("adapters", "expected tables like [adapters.my-rmm]"))
            configured = {}
        kinds = known_ids(registry.records(record_of("msp_adapters"))) if configured else {}
        for name, section in sorted(configured.items()):
            instance = self._instance(
                name, section, kinds, registry, wrong, [] if warnings is None else warnings
            )
            if instance is not None:
                found.append(instance)
        if problems is None and wrong:
            raise self.error(wrong)
        return tuple(found)

    def error(self, problems: Iterable[Problem]) -> ConfigError:
        """Return the error for some problems, each with the file it came from."""
        lines = [f"{self.origin(problem.path)}: {problem}" for problem in problems]
        message = "The configuration is wrong:\n  " + "\n  ".join(lines)
        return ConfigError(
            message,
            suggestion="Correct it; 'msp-toolkit config schema' lists every option.",
            problems=lines,
        )

    def origin(self, path: str) -> str:
        """Return where a value came from: a file, the environment or the command line."""
        while path:
            if path in self.origins:
                return self.origins[path]
            path = path.rpartition(".")[0]
        return str(self.path) if self.path else "built-in defaults"

    def _structure(self, data: Any, type_: type[S], path: str, problems: list[Problem]) -> S | None:
        if not isinstance(data, Mapping):
            problems.append(Problem(path, "expected a table"))
            return None
        try:
            return structure(references_of(data, type_, path, problems), type_, path)  # type: ignore[no-any-return]
        except Unstructurable as error:
            problems.extend(error.problems)
            return None

    def _instance(
        self,
        name: str,
        section: Any,
        kinds: "Mapping[str, Adapter]",
        registry: Registry,
        problems: list[Problem],
        warnings: list[str],
    ) -> Instance | None:
        path = self.instance_path(name)
        kind = section.get("kind") if isinstance(section, Mapping) else None
        if not isinstance(kind, str):
            word = "provider" if path == "rmm" else "kind"
            problems.append(Problem(path, f'needs a {word}, such as {word} = "ninjaone"'))
            return None
        adapter, line = kinds.get(kind), install_line(kind)
        if (adapter or line) and (misplaced := _misplaced(path, kind, kinds)):
            problems.append(misplaced)
            return None
        if adapter is None:
            if line:
                warnings.append(f"{self.origin(path)}: {path}: {not_there(kind, line, registry)}")
                return None
            near = get_close_matches(kind, [*kinds, *KNOWN_ADAPTERS], n=1)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else f"installed: {', '.join(sorted(kinds)) or 'none'}"
            )
            hint += out_of_use(registry)
            word = {"rmm": "provider"}.get(path, "name" if path.startswith("backup") else "kind")
            problem = Problem(f"{path}.{word}", f"there is no adapter {kind!r}", hint)
            if may_be_of_one_out_of_use(kind, registry, near=bool(near)):
                warnings.append(f"{self.origin(path)}: {problem}")
            else:
                problems.append(problem)
            return None
        options = {key: value for key, value in section.items() if key != "kind"}
        type_ = registry.load(adapter.settings)
        return self._built_instance(name, path, adapter, type_, options, problems, warnings)

    def _built_instance(
        self,
        name: str,
        path: str,
        adapter: "Adapter",
        type_: type,
        options: dict[str, Any],
        problems: list[Problem],
        warnings: list[str],
    ) -> Instance | None:
        if "api_key_env" in options and "api_key" not in {one.name for one in attrs.fields(type_)}:
            needed = ", ".join(one.name for one in adapter.credentials if one.required)
            warnings.append(
                f"{self.origin(path)}: {path}.api_key_env: {adapter.title} takes no single API key; it needs {needed}."
            )
            del options["api_key_env"]
        settings: Any = self._structure(options, type_, path, problems)
        if settings is None:
            return None
        return Instance(
            name=name, adapter=adapter, settings=self._rooted(settings), origin=self.origin(path)
        )

    def _rooted(self, value: Any) -> Any:
        """Make the paths among an adapter's options absolute: `~` is the user's home, the rest the workspace's."""
        if isinstance(value, Path):
            return self.resolve(value.expanduser())
        if isinstance(value, Mapping):
            return {key: self._rooted(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return tuple(map(self._rooted, value))
        if attrs.has(type(value)):
            fields = {one.name: getattr(value, one.name) for one in attrs.fields(type(value))}
            rooted = {name: self._rooted(item) for name, item in fields.items()}
            changed = {name: item for name, item in rooted.items() if item is not fields[name]}
            return attrs.evolve(value, **changed) if changed else value
        return value

    def instance_path(self, name: str) -> str:
        """Return where an adapter is written: `adapters.NAME`, `rmm` or its place in `backup.providers`."""
        return self._paths.get(name, f"adapters.{name}")

    def _fold_named_providers(self) -> None:
        """Turn `rmm:` into the instance `rmm`, and each of `backup.providers` into one of its own name."""
        self._paths: dict[str, str] = {}
        problems: list[Problem] = []
        rmm = self.data.get("rmm")
        if isinstance(rmm, Mapping) and rmm:
            self._fold("rmm", {**rmm, "kind": rmm.get("provider")}, "rmm", problems)
        elif rmm is not None and not isinstance(rmm, Mapping):
            problems.append(Problem("rmm", "expected a table"))
        backup = self.data.get("backup") or {}
        providers = backup.get("providers", []) if isinstance(backup, Mapping) else None
        if not isinstance(providers, list) or set(backup) - {"providers"}:
            problems.append(Problem("backup", "expected providers: a list of tables with a name"))
            providers = []
        for number, one in enumerate(providers):
            path = f"backup.providers[{number}]"
            if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
                problems.append(Problem(path, "needs a name"))
                continue
            options = {key: value for key, value in one.items() if key != "name"}
            self._fold(one["name"], {"kind": one["name"], **options}, path, problems)
        if problems:
            raise self.error(problems)

    def _fold(
        self, name: str, section: Mapping[str, Any], path: str, problems: list[Problem]
    ) -> None:
        adapters: Any = self.data.setdefault("adapters", {})
        if not isinstance(adapters, dict):
            return  # instances() says what is wrong with it
        if name in adapters:
            problems.append(
                Problem(path, f"there is an [adapters.{name}] as well", "keep one of them")
            )
            return
        adapters[name] = {key: value for key, value in section.items() if key != "provider"}
        self._paths[name] = path

    def _unknown_section(
        self,
        name: str,
        sections: Iterable[str],
        registry: Registry,
        problems: list[Problem],
        warnings: list[str],
    ) -> None:
        if name in SECTIONS:
            why = not_there(name, f"pip install {SECTIONS[name]}", registry)
            warnings.append(f"{self.origin(name)}: {name}: {why}")
            return
        known = sorted({*KERNEL_SECTIONS, *sections, *_SPECIAL, *SECTIONS})
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        problem = Problem(name, "unknown section", hint + out_of_use(registry))
        if may_be_of_one_out_of_use(name, registry, near=bool(near)):
            warnings.append(f"{self.origin(name)}: {problem}")
        else:
            problems.append(problem)


def _misplaced(path: str, kind: str, kinds: "Mapping[str, Adapter]") -> Problem | None:
    """Return what is wrong with a known kind in a place that takes only some."""
    if path.startswith("adapters."):
        return None
    from msp_core.roles import wrong_role

    return wrong_role(path, kind, kinds)


def _merge(
    into: dict[str, Any], data: Mapping[str, Any], origin: str, origins: dict[str, str], path: str
) -> None:
    for key, value in data.items():
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            inner = into.get(key)
            into[key] = inner if isinstance(inner, dict) else {}
            origins.setdefault(here, origin)
            _merge(into[key], value, origin, origins, here)
        else:
            into[key] = value
            origins[here] = origin
