"""Where a workspace is: its configuration file and the folder relative paths start from. Imports next to nothing."""

import os
from collections.abc import Mapping
from pathlib import Path

from msp_core.errors import ConfigError

FILE_NAMES = tuple(
    f"{folder}msp-toolkit.{suffix}"
    for folder in ("config/", "")
    for suffix in ("toml", "yaml", "yml", "json")
)


def find_file(path: Path | str | None, process: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file to use: the one named, `MSP_CONFIG`, the workspace around the current folder, the user's own."""
    named = path or process.get("MSP_CONFIG")
    if named:
        file = Path(named).expanduser()
        if not file.is_file():
            message = f"There is no configuration file {named}."
            if file.is_dir():
                message = f"{named} is a folder, not a configuration file."
            raise ConfigError(message, suggestion="Correct the path, or run 'msp-toolkit init'.")
        return file.absolute()
    for base in (_here(), os.path.expanduser("~/.config/msp-toolkit")):
        for name in FILE_NAMES:
            candidate = os.path.join(base, name)
            if os.path.isfile(candidate):
                return Path(candidate)
    return None


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:
        message = "The current folder no longer exists."
        raise ConfigError(message, suggestion="Change to another folder, such as: cd ~") from None


def workspace_root(file: Path | None) -> Path:
    """Return the folder relative paths start from: the one that holds `config/`, else the file's own."""
    if file is None:
        return Path(_here())
    return file.parent.parent if file.parent.name == "config" else file.parent


def overlays(file: Path) -> list[Path]:
    """Return the `conf.d/*.toml` beside a configuration file, in the order they apply."""
    folder = file.parent / "conf.d"
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:  # options that are there must not be passed over in silence
        message = f"{folder} cannot be read: {error.strerror}."
        raise ConfigError(message, suggestion="Mend its permissions.") from None
    return [folder / name for name in names if name.endswith(".toml")]
