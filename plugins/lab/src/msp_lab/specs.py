"""The vendors' own API descriptions, made usable: what the simulators offer, with known errata mended."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
import yaml

from msp_lab.fleet import AUTOMATE, NINJAONE
from msp_lab.web import JSON

Offered = Sequence[tuple[str, str]]

_METHODS = ("get", "put", "post", "delete", "patch")
_DEPTH = 3
_ALERT = "Automate.Api.Domain.Contracts.Alerts.Alert"
_AUTOMATE_MODULES = ("system", "company", "computers", "commands", "networkdevices")


@attrs.frozen
class Erratum:
    """One place where a description disagrees with the vendor's server or with its own format."""

    vendor: str
    where: str
    fact: str
    source: str


ERRATA = (
    Erratum(
        NINJAONE,
        "every operation",
        "Only a `default` response is described, which would also cover errors; it is taken as "
        "the success (200, or 204 where it has no schema).",
        "vendor file, quirk 8",
    ),
    Erratum(
        NINJAONE,
        "POST /ws/oauth/token, POST /oauth/token",
        "The token endpoints are missing.",
        "vendor staff's examples; production integrations",
    ),
    Erratum(
        NINJAONE,
        "GET /agent/installer/{token}/{file}",
        "Not part of the API: the address the lab's installer links point to.",
        "this lab",
    ),
    Erratum(
        AUTOMATE,
        "every list operation",
        "The parameter `options.expands` has no schema, which OpenAPI demands.",
        "OpenAPI validator",
    ),
    Erratum(
        AUTOMATE,
        "Client, Location, Computer, NetworkDevice and what they hold",
        "The schemas contain one another. Prism cannot compile them and then checks nothing, "
        "without a word; here they are written out three levels deep.",
        "seen with Prism 5.14.2",
    ),
    Erratum(
        AUTOMATE,
        "every path",
        "Paths begin with /api/v1, the server serves them below /cwa/api/v1.",
        "tested public clients",
    ),
    Erratum(
        AUTOMATE,
        "POST /apitoken, POST /apitoken/refresh",
        "Written /APIToken and /APIToken/Refresh; clients use lower case and the server takes both.",
        "tested public clients",
    ),
    Erratum(
        AUTOMATE,
        "TokenResult.AccessToken",
        "Not nullable, but null while a second factor is pending.",
        "tested public clients",
    ),
    Erratum(
        AUTOMATE,
        "POST /APIToken/Refresh",
        "The body is described for text/json and the like only; clients send application/json.",
        "tested public clients",
    ),
    Erratum(
        AUTOMATE,
        "GET /Computers/{computerId}/Alerts",
        "Takes list options but is described as one untyped object; taken as a list of alerts.",
        "unconfirmed: no answer of a real server was seen",
    ),
    Erratum(
        AUTOMATE,
        "GET /Computers/{computerId}",
        "Missing, although every client uses it; the row is that of the list.",
        "tested public clients",
    ),
    Erratum(
        AUTOMATE,
        "POST /RemoteAgent/Installers, GET /LabTech/Deployment.aspx",
        "Missing; taken from a client that deploys agents.",
        "tested public clients",
    ),
)


def specs_folder() -> Path | None:
    """Return the folder with the vendors' descriptions, or None where there is none."""
    given = os.environ.get("MSP_VENDOR_SPECS")
    if given:
        return Path(given) if Path(given).is_dir() else None
    for parent in Path(__file__).resolve().parents:
        found = parent.parent / "shared" / "vendors" / "specs"
        if (parent / "plugins").is_dir() and found.is_dir():
            return found
    return None


def write_spec(vendor: str, offered: Offered, folder: Path, target: Path) -> list[str]:
    """Write the description of what a simulator offers; return the offers it does not know."""
    build = _ninjaone if vendor == NINJAONE else _automate
    spec = build(folder)
    known = {(method, _shape(path)) for path in spec["paths"] for method in spec["paths"][path]}
    wanted = {(method.lower(), _shape(path)) for method, path in offered}
    for path in list(spec["paths"]):
        operations = spec["paths"][path]
        for method in [m for m in operations if m in _METHODS]:
            if (method, _shape(path)) not in wanted:
                del operations[method]
        if not any(method in _METHODS for method in operations):
            del spec["paths"][path]
    _drop_unused(spec)
    target.write_text(json.dumps(spec))
    return sorted(f"{method.upper()} {path}" for method, path in wanted - known)


def _drop_unused(spec: dict[str, Any]) -> None:
    """Keep the schemas that the paths reach; Prism reads the hundreds of others for nothing."""
    components = spec["components"]
    reached: set[tuple[str, str]] = set()
    waiting = _references(spec["paths"])
    while waiting:
        kind, name = waiting.pop()
        if (kind, name) not in reached:
            reached.add((kind, name))
            waiting |= _references(components[kind][name])
    for kind in ("schemas", "requestBodies"):
        kept = {n: item for n, item in components.get(kind, {}).items() if (kind, n) in reached}
        components[kind] = kept


def _references(value: object) -> set[tuple[str, str]]:
    found = re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', json.dumps(value))
    return set(found)


def _shape(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path).lower()


def _json_content(schema: dict[str, Any]) -> dict[str, Any]:
    return {JSON: {"schema": schema}}


def _operation(
    path: str, answer: dict[str, Any], body: dict[str, Any] | None = None
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"\{([^}]*)\}", path)
        ],
        "security": [],
        "responses": {"200": {"description": "OK", "content": answer}},
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


_FILE = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def _ninjaone(folder: Path) -> dict[str, Any]:
    # The C loader is as safe and ten times as fast; half a megabyte takes the other one seconds.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = (folder / "ninjaone.yaml").read_text()
    spec: dict[str, Any] = yaml.load(document, Loader=loader)  # noqa: S506
    for operation in _operations(spec):
        default = operation["responses"].pop("default", None)
        if default is None:
            continue
        schema = default.get("content", {}).get(JSON, {}).get("schema")
        operation["responses"]["200" if schema else "204"] = (
            default if schema else {"description": default.get("description", "")}
        )
    text = {"type": "string"}
    token = {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in"],
        "properties": {
            "access_token": text,
            "token_type": text,
            "expires_in": {"type": "integer"},
            "scope": text,
        },
    }
    form = {
        "type": "object",
        "required": ["grant_type", "client_id", "client_secret"],
        "properties": dict.fromkeys(("grant_type", "client_id", "client_secret", "scope"), text),
    }
    for path in ("/ws/oauth/token", "/oauth/token"):
        body = {"application/x-www-form-urlencoded": {"schema": form}}
        spec["paths"][path] = {"post": _operation(path, _json_content(token), body)}
    path = "/agent/installer/{token}/{file}"
    spec["paths"][path] = {"get": _operation(path, _FILE)}
    return spec


def _automate(folder: Path) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for module in _AUTOMATE_MODULES:
        text = (folder / f"connectwise-automate-{module}.json").read_text()
        spec: dict[str, Any] = json.loads(text)
        if merged:
            merged["paths"].update(spec["paths"])
        else:
            merged = spec
    for operation in _operations(merged):
        for parameter in operation.get("parameters", []):
            parameter.setdefault("schema", {"type": "string"})
        for message in (*operation["responses"].values(), operation.get("requestBody", {})):
            # The same schema is repeated for XML and text/json: a minute of Prism's start.
            for kind in [k for k in message.get("content", {}) if k != JSON]:
                del message["content"][kind]
    paths = {f"/cwa{path}": item for path, item in merged["paths"].items()}
    schemas = merged["components"]["schemas"]
    schemas["Automate.Api.Domain.Contracts.Security.TokenResult"]["properties"]["AccessToken"][
        "nullable"
    ] = True
    login = "/cwa/api/v1/APIToken"
    paths[f"{login}/Refresh"]["post"]["requestBody"] = {
        "required": True,
        "content": _json_content({"type": "string"}),
    }
    paths["/cwa/api/v1/apitoken"] = paths[login]
    paths["/cwa/api/v1/apitoken/refresh"] = paths[f"{login}/Refresh"]
    alerts = {"type": "array", "items": {"$ref": f"#/components/schemas/{_ALERT}"}}
    path = "/cwa/api/v1/Computers/{computerId}/Alerts"
    paths[path]["get"]["responses"]["200"]["content"] = _json_content(alerts)
    path = "/cwa/api/v1/Computers/{computerId}"
    row = {"$ref": "#/components/schemas/LabTech.Models.Computer"}
    paths[path] = {"get": _operation(path, _json_content(row))}
    wanted = {
        "type": "object",
        "required": ["LocationId", "InstallerType"],
        "properties": {"LocationId": {"type": "integer"}, "InstallerType": {"type": "integer"}},
    }
    path = "/cwa/api/v1/RemoteAgent/Installers"
    answer = _json_content({"type": "string"})
    paths[path] = {"post": _operation(path, answer, _json_content(wanted))}
    paths["/LabTech/Deployment.aspx"] = {"get": _operation("", _FILE)}
    return {**merged, "paths": _unfolded(paths, merged["components"], _DEPTH)}


def _unfolded(value: Any, components: dict[str, Any], depth: int) -> Any:
    """Put schemas in the place of references, down to a depth where any object will do."""
    if isinstance(value, list):
        return [_unfolded(item, components, depth) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if not isinstance(reference, str):
        return {key: _unfolded(item, components, depth) for key, item in value.items()}
    kind, name = reference.removeprefix("#/components/").split("/", 1)
    if depth == 0:
        return {"type": "object"}
    return _unfolded(components[kind][name], components, depth - 1)


def _operations(spec: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for item in spec["paths"].values():
        for method in _METHODS:
            if method in item:
                yield item[method]
