"""Which adapters are consoles, and what to configure where none is."""

from pathlib import Path

from msp_core.v1 import Adapter, ListsClients, ListsDevices, Role, Tool, Toolkit


def lists(adapter: Adapter) -> bool:
    """Tell whether an adapter can be asked for clients or devices."""
    return ListsDevices in adapter.offers or ListsClients in adapter.offers


def to_configure(toolkit: Toolkit) -> tuple[str, ...]:
    """Say what to write where, with a kind that is installed, and what there is without a console."""
    registry = toolkit.registry
    known = [one for one in registry.records(Adapter) if one.role is Role.RMM and lists(one)]
    kinds = sorted(one.id for one in known)
    by_hand = "msp-toolkit device add CLIENT NAME --via ADAPTER --address WHERE"
    without = [f"'{by_hand}' adds a device by hand"]
    if registry.find(Tool, "lab.up"):
        without.append("'msp-toolkit lab up --detach' simulates vendors")
    if not kinds:
        write = (
            "No plugin in use talks to an RMM. Install one, such as: pip install msp-rmm-ninjaone"
        )
    else:
        file = toolkit.config.path or "the configuration that 'msp-toolkit init' makes"
        write = (
            f"Write yours into {file}; 'msp-toolkit config check' then names what it needs:\n"
            f"{_section(toolkit.config.path, kinds[0])}\n"
            f"Kinds that are installed: {', '.join(kinds)}."
        )
    return write, f"Without one: {'; '.join(without)}."


def _section(file: Path | None, kind: str) -> str:
    """Return an adapter as it is written in this file; JSON is YAML too."""
    if file is not None and file.suffix.lower() in (".yaml", ".yml", ".json"):
        return f'  "adapters": {{"rmm": {{"kind": "{kind}"}}}}'
    return f'  [adapters.rmm]\n  kind = "{kind}"'
