"""Names people write in a configuration or on the command line, and the distribution that provides them.

Only names: what an uninstalled plugin can do is known to that plugin alone.
"""

_PROVIDES = {
    "msp-store": "",
    "msp-http": "",
    "msp-access": "",
    "msp-clients": "",
    "msp-inventory": "",
    "msp-health": "",
    "msp-alerts": "",
    "msp-mcp-server": "",
    "msp-rmm-connectwise-automate": "connectwise-automate connectwise automate labtech",
    "msp-rmm-ninjaone": "ninjaone ninjarmm ninja",
    "msp-rmm-datto": "datto datto-rmm",
    "msp-rmm-kaseya-vsa": "kaseya kaseya-vsa",
    "msp-rmm-atera": "atera",
    "msp-rmm-syncromsp": "syncromsp syncro",
    "msp-rmm-tactical": "tactical tactical-rmm",
    "msp-backup-veeam": "veeam veeam-vbr",
    "msp-backup-acronis": "acronis",
    "msp-backup-msp360": "msp360",
    "msp-psa-connectwise": "connectwise-psa connectwise-manage",
    "msp-psa-autotask": "autotask",
    "msp-psa-halopsa": "halopsa",
    "msp-host-local": "local",
    "msp-transport-ssh": "ssh",
    "msp-lab": "mock",
    "msp-check-cpu": "cpu",
    "msp-check-memory": "memory",
    "msp-check-disk": "disk disk-space",
    "msp-check-services": "services",
    "msp-check-network": "network",
    "msp-secrets-file": "file",
    "msp-secrets-keyring": "keyring",
    "msp-secrets-vault": "vault",
}
SECTIONS = {
    "database": "msp-store",
    "health_checks": "msp-health",
    "alerts": "msp-alerts",
    "access": "msp-access",
    "inventory": "msp-inventory",
    "http": "msp-http",
    "lab": "msp-lab",
    "mcp": "msp-mcp-server",
}
"""Sections of the configuration that a known plugin owns."""
COMMANDS = {
    "alert": "msp-alerts",
    "approval": "msp-access",
    "audit": "msp-access",
    "change": "msp-access",
    "client": "msp-clients",
    "db": "msp-store",
    "device": "msp-inventory",
    "health": "msp-health",
    "key": "msp-access",
    "lab": "msp-lab",
    "mcp": "msp-mcp-server",
}
"""First words of commands and tools that a known plugin brings."""
_DISTRIBUTION = {name: dist for dist, names in _PROVIDES.items() for name in names.split()}

KNOWN_ADAPTERS = tuple(
    name
    for name, distribution in _DISTRIBUTION.items()
    if distribution.startswith(("msp-rmm-", "msp-backup-", "msp-psa-"))
)


def distribution_for(name: str) -> str | None:
    """Return the distribution known to provide an adapter, check or secret store of this name."""
    return _DISTRIBUTION.get(name)


def known_plugin(id: str) -> str | None:
    """Return the distribution of a known plugin id."""
    distribution = f"msp-{id.removeprefix('msp-')}"
    return distribution if distribution in _PROVIDES else None


def install_line(name: str) -> str:
    """Return the command that installs what provides a name; empty when nothing known does."""
    distribution = distribution_for(name)
    return f"pip install {distribution}" if distribution else ""
