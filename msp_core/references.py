"""Options that are references of secrets, and their second form: the name of an environment variable."""

from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

import attrs

from msp_core.secrets import SecretRef
from msp_core.structure import Problem, is_union


def secret_fields(type_: type) -> Iterator[str]:
    """Yield the options of a class that are references of secrets; each may also be written as `<option>_env`."""
    hints = get_type_hints(type_) if attrs.has(type_) else {}
    for name, hint in hints.items():
        if hint is SecretRef or (is_union(hint) and SecretRef in getattr(hint, "__args__", ())):
            yield name


def references_of(
    data: Mapping[str, Any], type_: type, path: str, problems: list[Problem]
) -> dict[str, Any]:
    """Turn `password_env = "DB_PASSWORD"` into `password = "env:DB_PASSWORD"` where `password` is a secret."""
    found = dict(data)
    for name in secret_fields(type_):
        if f"{name}_env" in found:
            variable = found.pop(f"{name}_env")
            if not isinstance(variable, str) or not variable:
                problems.append(
                    Problem(f"{path}.{name}_env", "expected the name of an environment variable")
                )
            elif name in found:
                problems.append(
                    Problem(f"{path}.{name}_env", f"{name} is given as well", "keep one of them")
                )
            else:
                found[name] = f"env:{variable}"
    return found
