"""`doctor`: everything that can be looked at, with how to mend what is broken."""

import platform
import shutil
import sys
from collections.abc import Iterable
from typing import ClassVar

import attrs

from msp_core.builtin.credentials import probe
from msp_core.output import clean
from msp_core.secrets import mask
from msp_core.v1 import Column, Context, Display, DoctorCheck, Finding, MspError, Status, worst

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
    )

    findings: tuple[Diagnosis, ...]

    @property
    def exit_code(self) -> int:
        """0 when all is well, 1 for warnings, 2 for what is broken, 3 where something could not be found out."""
        return worst(one.status for one in self.findings).exit_code

    def text(self) -> str:
        """Say in one line how it is."""
        bad = [one for one in self.findings if one.status is not Status.OK]
        if not bad:
            return "Everything looks fine."
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
                message=clean(mask(one.message)),
                fix=one.fix,
            )
            for one in findings
        )
    return Report(findings=tuple(found))


async def runtime(ctx: Context) -> Iterable[Finding]:
    """Look at Python, the workspace and its disk."""
    yield_ = [
        Finding(status=Status.OK, message=f"Python {platform.python_version()} at {sys.prefix}")
    ]
    config = ctx.toolkit.config
    if config.path is None:
        yield_.append(
            Finding(
                status=Status.WARNING, message="there is no configuration", fix="msp-toolkit init"
            )
        )
        return yield_
    free = shutil.disk_usage(config.root).free
    status = Status.OK if free > _LOW_DISK_BYTES else Status.CRITICAL
    yield_.append(
        Finding(
            status=status,
            message=f"{config.root}: {free / 1024**3:.1f} GiB free",
            fix="" if status is Status.OK else "Free some space; the database needs it.",
        )
    )
    return yield_


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
    found.append(Finding(status=Status.OK, message=f"{len(registry.active()) - 1} in use"))
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
