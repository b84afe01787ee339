"""`doctor`: everything that can be looked at, with how to mend what is broken."""

import platform
import shutil
import sys
from collections.abc import Iterable
from typing import ClassVar

import attrs

from msp_core.builtin.credentials import probe
from msp_core.output import clean
from msp_core.program import typed
from msp_core.secrets import mask
from msp_core.v1 import (
    Column,
    ConfigError,
    Context,
    Display,
    DoctorCheck,
    Finding,
    MspError,
    Status,
    worst,
)

_LOW_DISK_BYTES = 500 * 1024 * 1024


@attrs.frozen(kw_only=True)
class Diagnosis:
    """One finding with the check it comes from."""

    check: str
    status: Status
    message: str
    fix: str


@attrs.frozen(kw_only=True)
class Report:
    """All findings; the worst decides the exit code."""

    DISPLAY: ClassVar[Display] = Display(
        columns=(Column("check"), Column("status"), Column("message"), Column("fix")),
        rows="findings",
        summary=lambda report: report.text(),
        nagios="nagios",
    )

    findings: tuple[Diagnosis, ...]

    @property
    def exit_code(self) -> int:
        """0 when all is well, 1 for warnings, 2 for what is broken, 3 where something could not be found out."""
        return worst(one.status for one in self.findings).exit_code

    def nagios(self) -> str:
        """Say the worst status and, in one line, how it is."""
        return f"{('OK', 'WARNING', 'CRITICAL', 'UNKNOWN')[self.exit_code]}: {self.text()}"

    def text(self) -> str:
        """Say in one line how it is."""
        bad = [one for one in self.findings if one.status is not Status.OK]
        if not bad:
            return "The toolkit itself is in order."
        verb = "needs" if len(bad) == 1 else "need"
        return f"{len(bad)} of {len(self.findings)} {verb} attention."


async def doctor(ctx: Context) -> Report:
    """Look for what is broken, and say how to mend it."""
    found: list[Diagnosis] = []
    registry = ctx.toolkit.registry
    for check in registry.records(DoctorCheck):
        try:
            run = registry.load(check.run)
            findings = list(await run(ctx))
        except MspError as error:
            findings = [
                Finding(status=Status.CRITICAL, message=error.message, fix=error.suggestion)
            ]
        except Exception as error:
            text = f"the check itself failed: {type(error).__name__}: {error}"
            findings = [
                Finding(status=Status.ERROR, message=text, fix="Report it to the plugin's author.")
            ]
        found.extend(
            Diagnosis(
                check=check.title,
                status=Status.parse(one.status),
                message=clean(mask(typed(one.message))),
                fix=typed(one.fix),
            )
            for one in findings
        )
    return Report(findings=tuple(_folded(found)))


def _folded(found: Iterable[Diagnosis]) -> Iterable[Diagnosis]:
    """Say once what several checks say alike: it is one thing to mend."""
    alike: dict[tuple[str, str], list[Diagnosis]] = {}
    for one in found:
        alike.setdefault((one.message, one.fix), []).append(one)
    for same in alike.values():
        checks = dict.fromkeys(one.check for one in same)
        yield attrs.evolve(
            same[0], check=", ".join(checks), status=worst(one.status for one in same)
        )


async def runtime(ctx: Context) -> Iterable[Finding]:
    """Look at Python, the workspace and its disk."""
    found = [
        Finding(status=Status.OK, message=f"Python {platform.python_version()} at {sys.prefix}")
    ]
    try:
        ctx.toolkit.require_workspace()
    except ConfigError as error:
        advice = Finding(status=Status.WARNING, message=error.message, fix=error.suggestion)
        return [*found, advice]
    free = shutil.disk_usage(ctx.toolkit.root).free
    enough = free > _LOW_DISK_BYTES
    room = Finding(
        status=Status.OK if enough else Status.CRITICAL,
        message=f"{ctx.toolkit.root}: {free / 1024**3:.1f} GiB free",
        fix="" if enough else "Free some space; the database needs it.",
    )
    return [*found, room]


async def configuration(ctx: Context) -> Iterable[Finding]:
    """Check the configuration."""
    config = ctx.toolkit.config
    try:
        warnings = config.check(ctx.toolkit.registry)
    except MspError as error:
        return [Finding(status=Status.CRITICAL, message=error.message, fix=error.suggestion)]
    found = [Finding(status=Status.WARNING, message=text, fix="") for text in warnings]
    return found or [
        Finding(status=Status.OK, message=f"{config.path or 'built-in defaults'}: correct")
    ]


async def plugins(ctx: Context) -> Iterable[Finding]:
    """Load every plugin and name those that fail."""
    registry = ctx.toolkit.registry
    registry.load_all()
    found = [
        Finding(
            status=Status.CRITICAL,
            message=f"{one.plugin} ({one.distribution} {one.version}): {one.stage}: {one.reason}",
            fix=one.fix,
        )
        for one in registry.failures.values()
    ]
    unsaid = ", as --safe-mode says; what they check is not checked" if registry.safe_mode else ""
    used = f"{len(registry.active()) - 1} in use{unsaid}"
    found.append(Finding(status=Status.OK, message=used))
    return found


async def adapters(ctx: Context) -> Iterable[Finding]:
    """Try the credentials of every configured adapter."""
    found = []
    for instance in ctx.toolkit.instances():
        tried = await probe(ctx, instance.name)
        found.append(
            Finding(status=tried.status, message=f"{tried.adapter}: {tried.message}", fix=tried.fix)
        )
    return found
