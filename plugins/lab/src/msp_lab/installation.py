"""The lab that belongs to a workspace: its process, its state file and its configuration overlay."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from msp_core.v1 import Conflict, SystemFailure
from msp_lab.process import LabNotStarted, LabProcess, Size, alive, start
from msp_lab.secrets import reference

_HEADER = "# Written by 'msp-toolkit lab up'; 'msp-toolkit lab down' removes it.\n"


@attrs.frozen(kw_only=True)
class Installation:
    """Where the workspace keeps its lab; `overlay` is None where there is no configuration."""

    state_dir: Path
    overlay: Path | None

    @property
    def state_file(self) -> Path:
        return self.state_dir / "lab.json"

    @property
    def log_file(self) -> Path:
        return self.state_dir / "lab.log"

    def running(self) -> tuple[LabProcess, Size] | None:
        """Return the lab that runs for this workspace; a left-over state file counts as none."""
        noted = self._noted()
        return noted if noted is not None and noted[0].answers() else None

    def _noted(self) -> tuple[LabProcess, Size] | None:
        try:
            data = json.loads(self.state_file.read_text(encoding="utf-8"))
            size = {**data["size"], "faults": tuple(data["size"]["faults"])}
            return LabProcess(**data["process"]), Size(**size)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def up(self, size: Size) -> tuple[LabProcess, bool]:
        """Start a lab, or return the one of the same size that runs already (then True).

        Raises Conflict when another one runs or is being started, SystemFailure when none starts.
        """
        try:
            self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SystemFailure(
                f"The folder {self.state_dir} cannot be made: {error.strerror}.",
                suggestion="Mend the workspace's permissions, or what is in its place.",
            ) from None
        with self._lock():
            found = self.running()
            if found is not None:
                if found[1] != size:
                    raise Conflict(
                        f"Another lab is running (process {found[0].pid}).",
                        suggestion="Stop it first: msp-toolkit lab down",
                    )
                return found[0], True
            self._end_silent()
            try:
                made = start(size, log=self.log_file)
            except LabNotStarted as error:
                raise SystemFailure(
                    f"The lab did not start: {error}",
                    suggestion="Choose other ports, or leave them out to get free ones.",
                ) from None
            data = {"process": attrs.asdict(made), "size": attrs.asdict(size)}
            try:
                _replace(self.state_file, json.dumps(data, indent=2))
                if self.overlay is not None:
                    _replace(self.overlay, overlay_text(made, size))
            except OSError as error:
                made.stop()
                raise SystemFailure(
                    f"The lab's files cannot be written: {error.strerror} ({error.filename}).",
                    suggestion="Mend the folder's permissions or free space.",
                ) from None
            return made, False

    def down(self) -> int | None:
        """Stop the lab and remove its files; return its process id, or None when none ran."""
        if not self.state_dir.is_dir():
            return None
        with self._lock():
            found = self._noted()
            stopped = self._end_silent()
            self.state_file.unlink(missing_ok=True)
            if self.overlay is not None and _is_ours(self.overlay):
                self.overlay.unlink()
            return found[0].pid if found is not None and stopped else None

    def _end_silent(self) -> bool:
        """End the noted process if it is a lab of ours; a process number may belong to others now."""
        found = self._noted()
        if found is None or not alive(found[0].pid):
            return False
        if not (found[0].answers() or _is_lab(found[0].pid)):
            return False
        if not found[0].stop():
            raise SystemFailure(
                f"The lab's process {found[0].pid} does not end.",
                suggestion=f"End it by hand: kill -9 {found[0].pid}",
            )
        return True

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.state_dir / "lab.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Conflict(
                    "Another command is starting or stopping the lab of this workspace.",
                    suggestion="Try again in a moment.",
                ) from None
            yield


def _is_lab(pid: int) -> bool:
    try:
        return b"msp_lab.process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _is_ours(overlay: Path) -> bool:
    try:
        return overlay.read_text(encoding="utf-8").startswith(_HEADER)
    except OSError:
        return False


def overlay_text(lab: LabProcess, size: Size) -> str:
    """Return the configuration that connects the toolkit to a lab; it names secrets, never holds one."""

    def secret(name: str) -> str:
        return reference(name, size.seed)

    return f"""{_HEADER}
[adapters.lab-automate]
kind = "connectwise-automate"
api_url = "{lab.automate_url}"
username = "lab-api"
password = "{secret("automate/password")}"
integration_id = "{secret("automate/client_id")}"

[adapters.lab-ninjaone]
kind = "ninjaone"
api_url = "{lab.ninjaone_url}"
client_id = "{secret("ninjaone/client_id")}"
client_secret = "{secret("ninjaone/client_secret")}"
command_scripts = ["Run PowerShell Command", "Run Shell Command"]
"""


def _replace(path: Path, text: str) -> None:
    """Write a file in one step, so that a crash leaves the old one or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            target.write(text)
            target.flush()
            os.fsync(target.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
