"""Print how much of each package the tests ran, and fail below the two bars.

Reads the data that `make cover` left. The bars are 90 % of the kernel's lines and 85 % of all.
"""

import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import attrs
import coverage

ROOT = Path(__file__).parents[1]
KERNEL_PERCENT = 90.0
OVERALL_PERCENT = 85.0


@attrs.define
class Lines:
    """Statements that were run, of how many."""

    covered: int = 0
    total: int = 0

    @property
    def percent(self) -> float:
        """The covered share in percent; an empty package is covered."""
        return 100.0 * self.covered / self.total if self.total else 100.0


def owner(file: Path) -> str:
    """Name the distribution folder a source file belongs to; of the kernel's the kit for authors counts apart."""
    parts = (file if not file.is_absolute() else file.relative_to(ROOT)).parts
    apart = parts[0] == "plugins" or parts[:2] == ("msp_core", "testing")
    return "/".join(parts[:2]) if apart else parts[0]


def measure() -> dict[str, Lines]:
    """Add up the coverage data by distribution."""
    data = coverage.Coverage(config_file=str(ROOT / "pyproject.toml"))
    data.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        data.json_report(outfile=str(report))
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
    lines: dict[str, Lines] = defaultdict(Lines)
    for name, file in files.items():
        found = lines[owner(Path(name))]
        found.covered += file["summary"]["covered_lines"]
        found.total += file["summary"]["num_statements"]
    return dict(lines)


def main() -> int:
    """Print the table and hold it against the bars."""
    lines = measure()
    width = max(map(len, lines), default=0)
    for name, found in sorted(lines.items()):
        print(f"{name:{width}}  {found.covered:6} of {found.total:6} lines  {found.percent:5.1f} %")
    kernel = lines.get("msp_core", Lines())
    overall = Lines(
        covered=sum(found.covered for found in lines.values()),
        total=sum(found.total for found in lines.values()),
    )
    print(f"kernel  {kernel.percent:.1f} % (at least {KERNEL_PERCENT:.0f} %)")
    print(f"overall {overall.percent:.1f} % (at least {OVERALL_PERCENT:.0f} %)")
    reached = kernel.percent >= KERNEL_PERCENT and overall.percent >= OVERALL_PERCENT
    return 0 if lines and reached else 1


if __name__ == "__main__":
    sys.exit(main())
