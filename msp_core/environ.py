"""The environment: process variables first, then the workspace's `.env`, then the file `MSP_CREDENTIALS` names."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msp_core.errors import ConfigError

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")
_QUOTED = re.compile(r"""(['"])(.*?)\1(?:\s+#.*)?$""")


class Environ:
    """Variables from three places; a process variable wins over `.env`, `.env` over the credentials file."""

    def __init__(self, process: Mapping[str, str], dotenv: Path | None = None) -> None:
        self._process = process
        self._dotenv = read_dotenv(dotenv) if dotenv is not None else {}
        self._credentials: dict[str, str] | None = None

    @classmethod
    def of(cls, root: Path) -> "Environ":
        """Return the environment of a workspace."""
        return cls(os.environ, root / ".env")

    def get(self, name: str) -> str | None:
        """Return a variable, or None when it is unset or empty."""
        value = self._process.get(name) or self._dotenv.get(name)
        if not value and name != "MSP_CREDENTIALS":
            value = self._from_credentials().get(name)
        return value or None

    def items(self) -> Mapping[str, str]:
        """Return process and `.env` variables together."""
        return {**self._dotenv, **self._process}

    def options(self) -> dict[str, Any]:
        """Read `MSP_<SECTION>__<KEY>`; the text is read as a TOML value where it is one, else kept as text."""
        found: dict[str, Any] = {}
        for name, text in self.items().items():
            if not name.startswith("MSP_") or "__" not in name:
                continue
            section, *keys = name.removeprefix("MSP_").lower().split("__")
            place: Any = found.setdefault(section, {})
            for key in keys[:-1]:
                place = place.setdefault(key, {}) if isinstance(place, dict) else None
            if not isinstance(place, dict) or isinstance(place.get(keys[-1]), dict):
                message = f"The variable {name} contradicts another: one makes a table of what is a value in the other."
                raise ConfigError(message, suggestion="Unset one of them.")
            place[keys[-1]] = parse_value(text)
        return found

    def file_names(self) -> set[str]:
        """Return the names that `.env` and the credentials file define, and those of the process."""
        return {*self._dotenv, *self._from_credentials(), *self._process}

    def _from_credentials(self) -> dict[str, str]:
        if self._credentials is None:
            path = self.get("MSP_CREDENTIALS")
            self._credentials = read_credentials(Path(path)) if path else {}
        return self._credentials


def parse_value(text: str) -> Any:
    """Read a value as TOML writes it (`true`, `5`, `["a"]`); anything else is text."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError, RecursionError):
        return text


def read_dotenv(path: Path) -> dict[str, str]:
    """Read `NAME=value` lines; quotes are removed, `#` starts a comment, other lines are ignored."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        message = f"The file {path} cannot be read: {error.strerror}."
        raise ConfigError(message, suggestion="Mend its permissions, or remove it.") from None
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        quoted = _QUOTED.match(match[2])
        found[match[1]] = quoted[2] if quoted else re.split(r"\s+#", match[2], maxsplit=1)[0]
    return found


def read_credentials(path: Path) -> dict[str, str]:
    """Read a JSON file of `{"RMM_API_KEY": "..."}` or `{"rmm": {"api_key": "..."}}`.

    A file that is not JSON text is left to the encrypted store, which opens it by the same variable.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        message = f"MSP_CREDENTIALS names {path}, which cannot be read: {error.strerror}."
        raise ConfigError(
            message, suggestion="Correct the path, or unset MSP_CREDENTIALS."
        ) from None
    if not raw.lstrip().startswith(b"{"):
        return {}
    try:
        data = json.loads(raw)
    except ValueError:
        message = f"The credentials file {path} is not valid JSON."
        raise ConfigError(message, suggestion='Write {"RMM_API_KEY": "..."}.') from None
    found: dict[str, str] = {}
    for key, value in data.items():
        if isinstance(value, str):
            found[key] = value
        elif isinstance(value, dict):
            found.update(
                {
                    f"{key}_{inner}".upper(): text
                    for inner, text in value.items()
                    if isinstance(text, str)
                }
            )
    return found
