"""Say who may import whom, and name every import that does otherwise.

The rules are read off the source: an import inside a function counts like one at the top, and so
does a `"package.module:name"` reference in a record. Run: `python scripts/layers.py [ROOT]`.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import Path

import attrs

LEAF_PREFIXES = (
    "check-",
    "host-",
    "transport-",
    "rmm-",
    "backup-",
    "psa-",
    "cloud-",
    "render-",
    "notify-",
    "secrets-",
    "engine-",
)
REFERENCE = re.compile(r"[a-z_]\w*(\.\w+)+:\w+")


class Layer(Enum):
    KERNEL = "the kernel"
    FOUNDATION = "a foundation"
    FEATURE = "a feature"
    LEAF = "a leaf"
    SURFACE = "a surface"
    LAB = "the lab"
    BUNDLE = "the bundle"


NAMED_LAYERS = {
    "store": Layer.FOUNDATION,
    "http": Layer.FOUNDATION,
    "hosts": Layer.FOUNDATION,
    "mcp-server": Layer.SURFACE,
    "dashboard": Layer.SURFACE,
    "lab": Layer.LAB,
    "toolkit": Layer.BUNDLE,
}
FOR_LEAVES = frozenset({"msp_http", "msp_hosts"})
"""The foundations that leaves stand on, and features do not."""


@attrs.frozen(kw_only=True)
class Package:
    """One distribution of the workspace: its import name, place, layer and declared plugins."""

    name: str
    folder: Path
    layer: Layer
    requires: frozenset[str] = frozenset()


@attrs.frozen(kw_only=True)
class Import:
    """One import statement or reference: the full dotted target and where it stands."""

    target: str
    line: int
    at_top: bool
    quoted: bool = False


def layer_of(plugin_id: str) -> Layer:
    """Tell the layer of a plugin from its id."""
    if plugin_id.startswith(LEAF_PREFIXES):
        return Layer.LEAF
    return NAMED_LAYERS.get(plugin_id, Layer.FEATURE)


def packages(root: Path) -> list[Package]:
    """Find the kernel and every plugin package below `root`."""
    found = [Package(name="msp_core", folder=root / "msp_core", layer=Layer.KERNEL)]
    for project in sorted(root.glob("plugins/*/pyproject.toml")):
        declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        needed = [*declared.get("dependencies", ())]
        for extra in declared.get("optional-dependencies", {}).values():
            needed += extra
        names = (re.split(r"[\s\[<>=!~;]", line, maxsplit=1)[0] for line in needed)
        requires = frozenset(name.replace("-", "_") for name in names)
        layer = layer_of(project.parent.name)
        found += [
            Package(
                name=init.parent.name,
                folder=init.parent,
                layer=layer,
                requires=requires,
            )
            for init in sorted(project.parent.glob("src/*/__init__.py"))
        ]
    return found


@cache
def imports_of(module: Path) -> tuple[Import, ...]:
    """List every import of a module, those inside functions and quoted references included."""
    tree = ast.parse(module.read_text(encoding="utf-8"), filename=str(module))
    return tuple(walk_imports(tree))


def walk_imports(tree: ast.Module) -> Iterator[Import]:
    """Yield the imports of a parsed module; one for the type checker alone is not at the top."""
    late: set[int] = set()
    for node in ast.walk(tree):
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if inside or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            late.update(id(child) for child in ast.walk(node) if child is not node)
    for node in ast.walk(tree):
        at_top = id(node) not in late
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(target=alias.name, line=node.lineno, at_top=at_top)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                target = f"{node.module}.{alias.name}"
                yield Import(target=target, line=node.lineno, at_top=at_top)
        elif isinstance(node, ast.Constant) and REFERENCE.fullmatch(str(node.value)):
            target = str(node.value).replace(":", ".")
            yield Import(target=target, line=node.lineno, at_top=False, quoted=True)


def within(target: str, *modules: str) -> bool:
    """Tell whether `target` is one of the modules or a name in one of them."""
    return any(target == module or target.startswith(f"{module}.") for module in modules)


def between_packages(
    package: Package, module: Path, found: Import, known: dict[str, Package]
) -> str | None:
    """Name the rule that an import across packages breaks.

    A module named `testing` or `conformance` is for tests, its own and those of others, and may use the test kit. A
    record names a Protocol of the kernel by the module that defines it.
    """
    target = found.target
    top = target.partition(".")[0]
    if top == "httpx" and package.name != "msp_http":
        return "only plugins/http imports httpx"
    other = known.get(top)
    if other is None or other.name == package.name:
        return None
    if package.layer is Layer.KERNEL:
        return "the kernel imports nothing above it"
    if other.layer is Layer.KERNEL:
        open_modules = ["msp_core.v1"]
        if module.stem in {"testing", "conformance"}:
            open_modules.append("msp_core.testing")
        if found.quoted:
            open_modules.append("msp_core.protocols")
        return None if within(target, *open_modules) else "plugins import msp_core.v1 alone"
    if other.layer in {Layer.LEAF, Layer.SURFACE, Layer.LAB, Layer.BUNDLE}:
        return f"nobody imports {other.layer.value}"
    if other.name in FOR_LEAVES:
        allowed = package.layer is Layer.LEAF
    else:
        allowed = package.layer in {Layer.FEATURE, Layer.BUNDLE}
    if not allowed:
        return f"{package.layer.value} does not import {other.layer.value}"
    if not within(target, f"{other.name}.api"):
        return f"{other.name} is open through {other.name}.api only"
    if other.name not in package.requires:
        return f"{other.name} is not among the declared dependencies"
    return None


def within_package(package: Package, module: Path, found: Import) -> str | None:
    """Name the rule that an import of the kit breaks, or an early one in a light module (`plugin.py`, `tools.py`)."""
    home = package.folder
    if package.layer is Layer.KERNEL:
        home /= "testing"
        if within(found.target, "msp_core.testing") and not module.is_relative_to(home):
            return "the kernel imports nothing of the kit for authors"
        if module.parent != home:
            return None
    if not found.at_top:
        return None
    top = found.target.partition(".")[0]
    if top in sys.stdlib_module_names or within(found.target, "msp_core.v1"):
        return None
    if module == home / "plugin.py":
        return "plugin.py imports msp_core.v1 and the standard library alone"
    if module.name == "tools.py" and (heavy := heavy_import(package, found.target)):
        return f"tools.py is imported to list tools, and this brings {heavy}"
    return None


def heavy_import(package: Package, target: str, seen: frozenset[str] = frozenset()) -> str | None:
    """Name what makes an import slow: anything that is not ours, in the kernel or in the library.

    Modules of the same package are followed; an `api` module is light by its own promise.
    """
    top = target.partition(".")[0]
    if top in sys.stdlib_module_names or top == "attrs" or within(target, "msp_core.v1"):
        return None
    if top.startswith("msp_") and within(target, f"{top}.api"):
        return None
    if top != package.name:
        return target
    module = source_of(package, target)
    if module is None or target in seen:
        return None
    nested = (found.target for found in imports_of(module) if found.at_top)
    heavy = (heavy_import(package, further, seen | {target}) for further in nested)
    return next(filter(None, heavy), None)


def source_of(package: Package, target: str) -> Path | None:
    """Find the file of a module, or of the module that a name is taken from."""
    parts = target.split(".")[1:]
    for count in range(len(parts), 0, -1):
        path = package.folder.joinpath(*parts[:count])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def violations(root: Path) -> list[str]:
    """List every import below `root` that breaks a rule, as `file:line: target: rule`."""
    known = {package.name: package for package in packages(root)}
    broken = []
    for package in known.values():
        for module in sorted(package.folder.rglob("*.py")):
            for found in imports_of(module):
                rule = between_packages(package, module, found, known)
                rule = rule or within_package(package, module, found)
                if rule:
                    where = f"{module.relative_to(root)}:{found.line}"
                    broken.append(f"{where}: {found.target}: {rule}")
    return broken


def main() -> int:
    """Print what is broken; the exit code says whether anything is."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    broken = violations(root.resolve())
    print("\n".join(broken) or f"layers: {len(packages(root))} packages, every import in its place")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
