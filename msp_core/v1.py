"""The contract: everything a plugin may import from the kernel, version 1.

Names are loaded on first use, so importing this module costs almost nothing. Names are added here in minor versions;
none is removed or changes its meaning within `v1`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

API_VERSION = 1

if TYPE_CHECKING:
    from msp_core.adapters import Adapter as Adapter
    from msp_core.adapters import Credential as Credential
    from msp_core.adapters import Lack as Lack
    from msp_core.adapters import Role as Role
    from msp_core.catalog import install_line as install_line
    from msp_core.checks import AnyOf as AnyOf
    from msp_core.checks import Check as Check
    from msp_core.checks import FactQuery as FactQuery
    from msp_core.checks import Granularity as Granularity
    from msp_core.checks import Mode as Mode
    from msp_core.checks import Previous as Previous
    from msp_core.checks import Source as Source
    from msp_core.checks import Target as Target
    from msp_core.context import Context as Context
    from msp_core.context import Planned as Planned
    from msp_core.context import check_door as check_door
    from msp_core.context import correlation_id as correlation_id
    from msp_core.cron import is_cron as is_cron
    from msp_core.data import Data as Data
    from msp_core.display import Column as Column
    from msp_core.display import Display as Display
    from msp_core.display import Listing as Listing
    from msp_core.display import moment as moment
    from msp_core.display import unless_zero as unless_zero
    from msp_core.errors import AlertNotFound as AlertNotFound
    from msp_core.errors import ApprovalRequired as ApprovalRequired
    from msp_core.errors import AuthenticationFailed as AuthenticationFailed
    from msp_core.errors import ClientNotFound as ClientNotFound
    from msp_core.errors import ConfigError as ConfigError
    from msp_core.errors import ConfirmationRequired as ConfirmationRequired
    from msp_core.errors import Conflict as Conflict
    from msp_core.errors import CredentialError as CredentialError
    from msp_core.errors import DeviceNotFound as DeviceNotFound
    from msp_core.errors import InvalidParameters as InvalidParameters
    from msp_core.errors import MspError as MspError
    from msp_core.errors import NotFound as NotFound
    from msp_core.errors import NotSupported as NotSupported
    from msp_core.errors import PermissionDenied as PermissionDenied
    from msp_core.errors import PluginError as PluginError
    from msp_core.errors import RateLimited as RateLimited
    from msp_core.errors import StoreError as StoreError
    from msp_core.errors import SystemFailure as SystemFailure
    from msp_core.errors import TimedOut as TimedOut
    from msp_core.errors import UnknownPlugin as UnknownPlugin
    from msp_core.errors import VendorError as VendorError
    from msp_core.errors import VendorRefused as VendorRefused
    from msp_core.errors import VendorUnavailable as VendorUnavailable
    from msp_core.facts import ConditionFacts as ConditionFacts
    from msp_core.facts import ConditionKind as ConditionKind
    from msp_core.facts import ConnectivityFacts as ConnectivityFacts
    from msp_core.facts import CpuFacts as CpuFacts
    from msp_core.facts import DiskFacts as DiskFacts
    from msp_core.facts import Fact as Fact
    from msp_core.facts import FactRequest as FactRequest
    from msp_core.facts import MemoryFacts as MemoryFacts
    from msp_core.facts import Missing as Missing
    from msp_core.facts import Observation as Observation
    from msp_core.facts import ProbeFacts as ProbeFacts
    from msp_core.facts import ProbeKind as ProbeKind
    from msp_core.facts import ProbeRequest as ProbeRequest
    from msp_core.facts import ProbeResult as ProbeResult
    from msp_core.facts import ServiceFact as ServiceFact
    from msp_core.facts import ServiceFacts as ServiceFacts
    from msp_core.facts import ServiceRequest as ServiceRequest
    from msp_core.facts import ServiceStart as ServiceStart
    from msp_core.facts import ServiceState as ServiceState
    from msp_core.facts import VendorCondition as VendorCondition
    from msp_core.facts import Volume as Volume
    from msp_core.hookspecs import hookimpl as hookimpl
    from msp_core.invoke import call_of as call_of
    from msp_core.invoke import invoke as invoke
    from msp_core.invoke import refuse as refuse
    from msp_core.levels import RECOVER_SHARE as RECOVER_SHARE
    from msp_core.levels import Levels as Levels
    from msp_core.levels import measured as measured
    from msp_core.levels import not_above as not_above
    from msp_core.levels import not_below as not_below
    from msp_core.levels import positive as positive
    from msp_core.mcp import AgentRequest as AgentRequest
    from msp_core.mcp import McpAgent as McpAgent
    from msp_core.mcp import McpPrompt as McpPrompt
    from msp_core.mcp import McpResource as McpResource
    from msp_core.mcp import McpResult as McpResult
    from msp_core.mcp import completion as completion
    from msp_core.model import Client as Client
    from msp_core.model import ClientStatus as ClientStatus
    from msp_core.model import Device as Device
    from msp_core.model import DeviceKind as DeviceKind
    from msp_core.model import OsFamily as OsFamily
    from msp_core.model import Period as Period
    from msp_core.model import Site as Site
    from msp_core.model import Tier as Tier
    from msp_core.output import Format as Format
    from msp_core.output import render as render
    from msp_core.protocols import Actor as Actor
    from msp_core.protocols import AdapterEnv as AdapterEnv
    from msp_core.protocols import Approvals as Approvals
    from msp_core.protocols import Asks as Asks
    from msp_core.protocols import Call as Call
    from msp_core.protocols import Change as Change
    from msp_core.protocols import ChangeState as ChangeState
    from msp_core.protocols import DeploysAgents as DeploysAgents
    from msp_core.protocols import Grant as Grant
    from msp_core.protocols import Guard as Guard
    from msp_core.protocols import Keys as Keys
    from msp_core.protocols import ListsClients as ListsClients
    from msp_core.protocols import ListsDevices as ListsDevices
    from msp_core.protocols import Outcome as Outcome
    from msp_core.protocols import Principal as Principal
    from msp_core.protocols import Probes as Probes
    from msp_core.protocols import Progress as Progress
    from msp_core.protocols import Proposal as Proposal
    from msp_core.protocols import ReadsAlerts as ReadsAlerts
    from msp_core.protocols import RunsCommands as RunsCommands
    from msp_core.protocols import Scope as Scope
    from msp_core.protocols import SecretEnv as SecretEnv
    from msp_core.protocols import SecretStore as SecretStore
    from msp_core.questions import Question as Question
    from msp_core.records import Doc as Doc
    from msp_core.records import DoctorCheck as DoctorCheck
    from msp_core.records import Effect as Effect
    from msp_core.records import Event as Event
    from msp_core.records import Finding as Finding
    from msp_core.records import Migrations as Migrations
    from msp_core.records import Param as Param
    from msp_core.records import SecretProvider as SecretProvider
    from msp_core.records import Service as Service
    from msp_core.records import Settings as Settings
    from msp_core.records import Spelling as Spelling
    from msp_core.records import Subscriber as Subscriber
    from msp_core.records import Surface as Surface
    from msp_core.records import Tool as Tool
    from msp_core.registry import Registry as Registry
    from msp_core.results import Alert as Alert
    from msp_core.results import CheckResult as CheckResult
    from msp_core.results import Metric as Metric
    from msp_core.results import Verdict as Verdict
    from msp_core.schema import Parameter as Parameter
    from msp_core.schema import choices as choices
    from msp_core.schema import input_schema as input_schema
    from msp_core.schema import json_schema as json_schema
    from msp_core.schema import mcp_name as mcp_name
    from msp_core.schema import parameters as parameters
    from msp_core.schema import result_type as result_type
    from msp_core.schema import row_type as row_type
    from msp_core.secrets import Secret as Secret
    from msp_core.secrets import SecretRef as SecretRef
    from msp_core.secrets import mask_data as mask_data
    from msp_core.status import AlertState as AlertState
    from msp_core.status import Severity as Severity
    from msp_core.status import Status as Status
    from msp_core.status import worst as worst
    from msp_core.structure import Problem as Problem
    from msp_core.structure import Unstructurable as Unstructurable
    from msp_core.structure import plain as plain
    from msp_core.structure import structure as structure
    from msp_core.times import parse_duration as parse_duration
    from msp_core.times import parse_time as parse_time
    from msp_core.toolkit import Toolkit as Toolkit
    from msp_core.vendor import Command as Command
    from msp_core.vendor import CommandResult as CommandResult
    from msp_core.vendor import DeploymentResult as DeploymentResult
    from msp_core.vendor import Quarantined as Quarantined
    from msp_core.vendor import VendorAlert as VendorAlert
    from msp_core.vendor import VendorClient as VendorClient
    from msp_core.vendor import VendorDevice as VendorDevice
    from msp_core.vendor import VendorSite as VendorSite
    from msp_core.verdicts import monitor_verdict as monitor_verdict
    from msp_core.verdicts import printable as printable
    from msp_core.watchdog import watched as watched

_HOMES = {
    "data": "Data",
    "cron": "is_cron",
    "context": "Context Planned check_door correlation_id",
    "display": "Column Display Listing moment unless_zero",
    "structure": "Problem Unstructurable plain structure",
    "times": "parse_duration parse_time",
    "watchdog": "watched",
    "errors": (
        "AlertNotFound ApprovalRequired AuthenticationFailed ClientNotFound ConfigError ConfirmationRequired "
        "Conflict CredentialError DeviceNotFound InvalidParameters MspError NotFound NotSupported PermissionDenied "
        "PluginError RateLimited StoreError SystemFailure TimedOut UnknownPlugin VendorError VendorRefused "
        "VendorUnavailable"
    ),
    "facts": (
        "ConditionFacts ConditionKind ConnectivityFacts CpuFacts DiskFacts Fact FactRequest MemoryFacts Missing "
        "Observation ProbeFacts ProbeKind ProbeRequest ProbeResult ServiceFact ServiceFacts ServiceRequest "
        "ServiceStart ServiceState VendorCondition Volume"
    ),
    "hookspecs": "hookimpl",
    "invoke": "call_of invoke refuse",
    "mcp": "AgentRequest McpAgent McpPrompt McpResource McpResult completion",
    "output": "Format render",
    "schema": "Parameter choices input_schema json_schema mcp_name parameters result_type row_type",
    "levels": "Levels RECOVER_SHARE measured not_above not_below positive",
    "model": "Client ClientStatus Device DeviceKind OsFamily Period Site Tier",
    "status": "AlertState Severity Status worst",
    "results": "Alert CheckResult Metric Verdict",
    "verdicts": "monitor_verdict printable",
    "vendor": (
        "Command CommandResult DeploymentResult Quarantined VendorAlert VendorClient VendorDevice VendorSite"
    ),
    "questions": "Question",
    "protocols": (
        "Actor AdapterEnv Approvals Asks Call Change ChangeState DeploysAgents Grant Guard Keys ListsClients "
        "ListsDevices Outcome Principal Probes Progress Proposal ReadsAlerts RunsCommands Scope SecretEnv SecretStore"
    ),
    "records": (
        "Doc DoctorCheck Effect Event Finding Migrations Param SecretProvider Service Settings Spelling "
        "Subscriber Surface Tool"
    ),
    "checks": "AnyOf Check FactQuery Granularity Mode Previous Source Target",
    "adapters": "Adapter Credential Lack Role",
    "secrets": "Secret SecretRef mask_data",
    "catalog": "install_line",
    "registry": "Registry",
    "toolkit": "Toolkit",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
__all__ = sorted([*_HOME_OF, "API_VERSION"])


RENAMED: dict[str, tuple[str, str]] = {}
"""Old names that still work: each with its new name and the version that removes it, two minor versions on."""


def __getattr__(name: str) -> Any:
    if name in RENAMED:
        return _renamed(name)
    home = _HOME_OF.get(name)
    if home is None:
        message = f"msp_core.v1 has no {name!r}; the contract is listed in msp_core.v1.__all__"
        raise AttributeError(message)
    value = getattr(import_module(f"msp_core.{home}"), name)
    globals()[name] = value
    return value


def _renamed(name: str) -> Any:
    import warnings

    new, until = RENAMED[name]
    message = f"msp_core.v1.{name} is now {new}; the old name is removed in {until}"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return globals().get(new) or __getattr__(new)


def __dir__() -> list[str]:
    return __all__
