"""What the access plugin offers."""

from collections.abc import Iterable

from msp_core.v1 import (
    DoctorCheck,
    Effect,
    Migrations,
    Service,
    Settings,
    Surface,
    Tool,
    hookimpl,
)

_HERE = frozenset({Surface.CLI, Surface.PYTHON})
_CLI = frozenset({Surface.CLI})


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer the `audit`, `approval`, `change` and `key` commands."""
    yield Tool(
        name="audit.list",
        run="msp_access.tools:list_audit",
        summary="Show who called what, and what came of it",
        effect=Effect.READ,
        surfaces=_HERE,
        example="msp-toolkit audit list --refused --since 7d",
    )
    yield Tool(
        name="audit.verify",
        run="msp_access.tools:verify_audit",
        summary="Prove that no row of the audit trail was edited or removed",
        effect=Effect.READ,
        surfaces=_HERE,
        example="msp-toolkit audit verify",
    )
    yield Tool(
        name="audit.export",
        run="msp_access.tools:export_audit",
        summary="Write the audit trail to a file, with the hashes that prove it",
        effect=Effect.READ,
        surfaces=_HERE,
        example="msp-toolkit audit export --output audit.jsonl",
    )
    yield Tool(
        name="approval.list",
        run="msp_access.tools:list_plans",
        summary="Show what waits for a person's approval",
        effect=Effect.READ,
        surfaces=_HERE,
        example="msp-toolkit approval list",
    )
    yield Tool(
        name="approval.approve",
        run="msp_access.tools:approve",
        summary="Let a planned call run once",
        effect=Effect.RECORD,
        surfaces=_CLI,
        example="msp-toolkit approval approve k7m2-9qxd",
    )
    yield Tool(
        name="approval.deny",
        run="msp_access.tools:deny",
        summary="Refuse a planned call",
        effect=Effect.RECORD,
        surfaces=_CLI,
        example="msp-toolkit approval deny k7m2-9qxd",
    )
    yield Tool(
        name="change.list",
        run="msp_access.tools:list_changes",
        summary="Show what was changed outside our own records, and what was interrupted",
        effect=Effect.READ,
        surfaces=_HERE,
        example="msp-toolkit change list --state in-flight",
    )
    yield Tool(
        name="change.settle",
        run="msp_access.tools:settle_change",
        summary="Say whether an interrupted change did happen",
        effect=Effect.RECORD,
        surfaces=_CLI,
        example="msp-toolkit change settle KEY --happened",
    )
    yield Tool(
        name="key.create",
        run="msp_access.key_tools:create_key",
        summary="Make a key for a caller from outside, such as an agent over HTTP",
        effect=Effect.RECORD,
        surfaces=_CLI,
        example="msp-toolkit key create claude --client acme-corp --expires 30d",
    )
    yield Tool(
        name="key.list",
        run="msp_access.key_tools:list_keys",
        summary="Show the keys of callers from outside",
        effect=Effect.READ,
        surfaces=_HERE,
        example="msp-toolkit key list",
    )
    yield Tool(
        name="key.revoke",
        run="msp_access.key_tools:revoke_key",
        summary="Make a key useless at once",
        effect=Effect.RECORD,
        surfaces=_CLI,
        example="msp-toolkit key revoke claude",
    )
    yield Tool(
        name="key.rotate",
        run="msp_access.key_tools:rotate_key",
        summary="Give a key a new text with the same name and scope",
        effect=Effect.RECORD,
        surfaces=_CLI,
        example="msp-toolkit key rotate claude",
    )


@hookimpl
def msp_services() -> Iterable[Service]:
    """Offer the guard the kernel asks, and the records behind it."""
    yield Service(type="msp_core.protocols:Guard", factory="msp_access.guard:create")
    yield Service(type="msp_core.protocols:Approvals", factory="msp_access.approvals:create")
    yield Service(type="msp_core.protocols:Keys", factory="msp_access.keys:create")
    yield Service(type="msp_access.api:Access", factory="msp_access.service:create")
    yield Service(type="msp_access.api:KeyRing", factory="msp_access.keys:create")


@hookimpl
def msp_settings() -> Iterable[Settings]:
    """Type the section `access`."""
    yield Settings(section="access", type="msp_access.settings:AccessSettings")


@hookimpl
def msp_migrations() -> Iterable[Migrations]:
    """Offer the tables."""
    yield Migrations(
        id="access", package="msp_access.migrations", prune="msp_access.retention:prune"
    )


@hookimpl
def msp_doctor_checks() -> Iterable[DoctorCheck]:
    """Look at the audit trail and at interrupted changes."""
    yield DoctorCheck(id="access.audit", title="Audit trail", run="msp_access.doctor:check_audit")
    yield DoctorCheck(
        id="access.changes", title="Interrupted changes", run="msp_access.doctor:check_changes"
    )
