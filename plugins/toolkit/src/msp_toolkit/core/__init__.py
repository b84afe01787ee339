"""Clients, health and plugins for Python programs."""

from msp_core.v1 import CheckResult, Client, Device
from msp_health.api import ClientStatusSummary as HealthSummary
from msp_health.api import HealthCheckConfig
from msp_toolkit.core.client_manager import ClientManager
from msp_toolkit.core.credentials import CredentialManager
from msp_toolkit.core.health_monitor import HealthMonitor
from msp_toolkit.core.plugin import Plugin

__all__ = [
    "CheckResult",
    "Client",
    "ClientManager",
    "CredentialManager",
    "Device",
    "HealthCheckConfig",
    "HealthMonitor",
    "HealthSummary",
    "Plugin",
]
