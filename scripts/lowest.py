"""Run the tests once with the lowest versions that the distributions say they allow.

Run: `python scripts/lowest.py [PYTEST WORDS...]`, such as a file and `-x`, to try a part.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = str(Path(sys.executable).with_name("uv"))
FAST = "not node and not debian and not slow and not kill and not fuzz"


def main() -> int:
    """Install everything at its lower bounds into a fresh environment and run the fast tests."""
    with tempfile.TemporaryDirectory() as folder:
        python = str(Path(folder) / "bin" / "python")
        install = [UV, "pip", "install", "--quiet", "--python", python]
        install += ["--resolution", "lowest-direct"]
        for project in [
            ROOT / "pyproject.toml",
            *sorted(ROOT.glob("plugins/*/pyproject.toml")),
        ]:
            declared = tomllib.loads(project.read_text(encoding="utf-8"))
            extras = ",".join(declared["project"].get("optional-dependencies", ()))
            install += ["--editable", f"{project.parent}[{extras}]"]
            if "test" in declared.get("dependency-groups", {}):
                install += ["--group", f"{project}:test"]
        subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        install += ["pytest-xdist>=3.8", "uv>=0.13,<0.14"]  # some tests install with it
        # Away from the root, whose exact pins would hold here too
        subprocess.run(install, cwd=folder, check=True)
        tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", FAST]
        words = sys.argv[1:] or ["-n", "2"]
        return subprocess.run([*tests, *words], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
