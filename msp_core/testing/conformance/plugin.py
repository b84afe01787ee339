"""Cases for any plugin: installed under its own name, light, honest about what it offers."""

import ast
import importlib.util
import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from msp_core.discovery import Candidate, slug
from msp_core.errors import PluginError
from msp_core.hookspecs import HOOKS, record_of
from msp_core.records import Doc, Settings, Tool
from msp_core.registry import Registry
from msp_core.testing.packages import unmet
from msp_core.testing.subject import installed_ids, registry_for

_HOOK_OF = {record: hook for hook, record in HOOKS.items()}


class PluginConformance:
    """What every plugin must do, whatever it offers."""

    plugin: ClassVar[str]

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Run the cases on asyncio, as the toolkit does."""
        return "asyncio"

    @pytest.fixture(autouse=True)
    def _usable(self, request: pytest.FixtureRequest) -> None:
        """Leave a plugin that cannot be used to the cases below, which say why; the others would repeat it."""
        if request.function.__name__ not in vars(PluginConformance):
            self._need_loading()
            self._need_references()

    def test_it_is_installed_under_its_own_name(self) -> None:
        """The entry point is named like the distribution, without a leading `msp-`."""
        candidate = self._candidate()
        assert slug(candidate.distribution) == self.plugin

    def test_its_requirements_are_met(self) -> None:
        """What its distribution depends on is installed, in a version it takes."""
        problems = list(self._unmet())
        assert not problems, "\n".join(problems)

    def test_it_loads(self) -> None:
        """Importing it and asking all its hooks works."""
        self._need_requirements()
        registry = self._loaded()
        failure = registry.failures.get(self.plugin)
        if failure is not None:
            message = f"{failure.stage}: {failure.reason}. {failure.fix}"
            raise AssertionError(message)

    def test_it_offers_something(self) -> None:
        """A plugin implements a hook at least, and the hook returns something."""
        self._need_loading()
        assert list(self._records()), (
            "no hook returns anything: is @hookimpl there, is the name right?"
        )

    def test_plugin_module_imports_the_contract_alone(self) -> None:
        """`plugin.py` imports `msp_core.v1` and the standard library, so that listing commands stays fast."""
        import sys

        for module, line in _imports(_source(self._candidate().module)):
            known = module.split(".")[0] in sys.stdlib_module_names
            assert known or module == "msp_core.v1", (
                f"plugin.py line {line} imports {module}; name it in a record as 'module:name' instead"
            )

    def test_the_package_itself_imports_nothing(self) -> None:
        """`__init__.py` is imported with every module of the package, so it holds a docstring at most."""
        package = self._candidate().module.split(".")[0]
        found = [module for module, _ in _imports(_source(package))]
        assert not found, f"{package}/__init__.py imports {', '.join(found)}"

    def test_hooks_say_the_same_twice(self) -> None:
        """A hook is data: asked again it returns equal records."""
        self._need_loading()
        registry = self._loaded()
        module = registry.load(f"{self._candidate().module}:__dict__")
        for hook in HOOKS:
            if hook in module and hasattr(module[hook], "msp_toolkit_impl"):
                assert list(module[hook]()) == list(module[hook]()), f"{hook} changes its mind"

    def test_every_reference_leads_somewhere(self) -> None:
        """Each `module:name` of a record can be imported."""
        self._need_requirements()
        problems = list(self._loose_ends())
        assert not problems, "\n".join(problems)

    def test_its_ids_are_its_own(self) -> None:
        """Next to everything that is installed here it still loads: nobody else offers its ids."""
        self._need_loading()
        everybody = registry_for(self.plugin, also=installed_ids())
        everybody.load_all()
        failure = everybody.failures.get(self.plugin)
        if failure is not None:
            message = f"{failure.stage}: {failure.reason}. Give it an id of its own, such as {self.plugin}.name"
            raise AssertionError(message)

    def test_records_are_described(self) -> None:
        """What people choose from has a title or summary."""
        for record in self._records():
            for name in ("title", "summary"):
                if hasattr(record, name) and name in {
                    one.name for one in attrs.fields(type(record))
                }:
                    value = getattr(record, name)
                    assert "\n" not in value, f"{record.id}: {name} has more than one line"
                    assert value or name == "summary", f"{record.id} has no {name}"

    def test_options_are_documented_and_have_defaults(self) -> None:
        """Each option of a section has a `Doc` text, and an empty section is right."""
        self._need_references()
        registry = self._loaded()
        for record in self._records():
            if isinstance(record, Settings):
                class_ = registry.load(record.type)
                _assert_documented(class_)
                class_()

    def test_the_distribution_describes_itself(self) -> None:
        """The metadata has a summary, a licence, and bounds on msp-core."""
        from importlib_metadata import metadata, requires

        name = self._candidate().distribution
        read = metadata(name)
        assert read.get("Summary"), "pyproject.toml has no description"
        assert read.get("License-Expression") or read.get("License"), "it names no licence"
        bounds = [
            line for line in requires(name) or () if slug(line.split(">")[0].strip()) == "core"
        ]
        assert bounds, "it does not depend on msp-core"
        assert any("<" in line for line in bounds), f"{bounds[0]} has no upper bound"

    def test_the_package_is_typed(self) -> None:
        """`py.typed` is there, so that type checkers believe the annotations."""
        package = self._candidate().module.split(".")[0]
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        assert Path(spec.origin).with_name("py.typed").is_file(), f"{package}/py.typed is missing"

    def test_it_declares_what_it_imports(self) -> None:
        """Other plugins are imported through their `api` alone, and are declared dependencies."""
        from importlib_metadata import requires

        candidate = self._candidate()
        package = candidate.module.split(".")[0]
        declared = {
            slug(line.split(";")[0].split(">")[0].split("<")[0].split("=")[0].split("[")[0].strip())
            for line in requires(candidate.distribution) or ()
        }
        for path in _files(package):
            for module, line in _imports(path):
                top = module.split(".")[0]
                if not top.startswith("msp_") or top in ("msp_core", package):
                    continue
                if path.stem in ("testing", "conformance", "simulator"):
                    continue
                place = f"{path.name} line {line} imports {module}"
                assert module.split(".")[1:2] == ["api"], f"{place}; use {top}.api"
                assert slug(top) in declared, f"{place}, which is no declared dependency"

    def test_it_uses_the_contract_of_the_kernel(self) -> None:
        """Of the kernel it imports `msp_core.v1`, and `msp_core.testing` where it helps tests."""
        package = self._candidate().module.split(".")[0]
        for path in _files(package):
            for module, line in _imports(path):
                if module.split(".")[0] != "msp_core":
                    continue
                fine = module == "msp_core.v1" or module.startswith("msp_core.testing")
                assert fine, f"{path.name} line {line} imports {module}; plugins import msp_core.v1"

    def test_tools_name_their_effect_and_say_what_they_do(self) -> None:
        """Each tool is an async function with a docstring; without an effect it counts as DESTROY."""
        self._need_references()
        registry = self._loaded()
        for record in self._records():
            if isinstance(record, Tool):
                function = registry.load(record.run)
                assert inspect.iscoroutinefunction(function), f"{record.run} is not async"
                assert inspect.getdoc(function), f"{record.run} has no docstring"

    def _unmet(self) -> Iterator[str]:
        """Yield each requirement that is not met, with what to do."""
        for one in unmet([self._candidate()]):
            yield f"{one.message}. Run: {one.fix}"

    def _need_requirements(self) -> None:
        if any(self._unmet()):
            pytest.skip("a requirement is not met")

    def _need_loading(self) -> None:
        if self.plugin in self._loaded().failures:
            pytest.skip("it does not load")

    def _need_references(self) -> None:
        if any(self._loose_ends()):
            pytest.skip("a reference leads nowhere")

    def _loose_ends(self) -> Iterator[str]:
        """Yield what is wrong with each reference of the records that leads nowhere."""
        registry = self._loaded()
        for record in self._records():
            for field in attrs.fields(type(record)):
                value = getattr(record, field.name)
                if not _is_reference(field, value):
                    continue
                where = f"plugin.py, {_HOOK_OF[type(record).__name__]}, {record.id}: {field.name}={value!r}"
                try:
                    found = registry.load(value)
                except PluginError as error:
                    yield f"{where}: {error.message}. {error.suggestion}"
                else:
                    if found is None:
                        yield f"{where} is None"

    def _candidate(self) -> Candidate:
        return registry_for(self.plugin).candidates[self.plugin]

    def _loaded(self) -> Registry:
        registry = registry_for(self.plugin)
        registry.load_all()
        return registry

    def _records(self) -> Iterator[Any]:
        registry = self._loaded()
        for kind in map(record_of, HOOKS):
            offered: tuple[Any, ...] = registry.records(kind)
            for record in offered:
                if registry.plugin_of(record) == self.plugin:
                    yield record


def _assert_documented(class_: type) -> None:
    hints = typing.get_type_hints(class_, include_extras=True)
    for field in attrs.fields(class_):
        extras = getattr(hints[field.name], "__metadata__", ())
        assert any(isinstance(one, Doc) for one in extras), (
            f"{class_.__name__}.{field.name} has no text: Annotated[..., Doc('...')]"
        )


def _is_reference(field: Any, value: object) -> bool:
    shaped = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", value)
    return bool(shaped) and field.validator is not None


def _source(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"{module} cannot be found"
    assert spec.origin is not None, f"{module} has no file"
    return Path(spec.origin)


def _files(package: str) -> list[Path]:
    return sorted(_source(package).parent.rglob("*.py"))


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
