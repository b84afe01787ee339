"""What the kit for plugin authors offers: write a plugin, bring it up to date, hold it against its cases."""

from collections.abc import Iterable

from msp_core.v1 import DoctorCheck, Effect, Surface, Tool, hookimpl

_PEOPLE = frozenset({Surface.CLI, Surface.PYTHON})


@hookimpl
def msp_tools() -> Iterable[Tool]:
    yield Tool(
        name="plugin.new",
        run="msp_core.testing.authoring:new",
        summary="Write a new plugin",
        effect=Effect.RECORD,
        surfaces=_PEOPLE,
        repairs=True,
        example="msp-toolkit plugin new check acme-uptime",
    )
    yield Tool(
        name="plugin.update",
        run="msp_core.testing.authoring:update",
        summary="Bring a plugin up to its template",
        effect=Effect.RECORD,
        surfaces=_PEOPLE,
        repairs=True,
        example="msp-toolkit plugin update acme-uptime",
    )
    yield Tool(
        name="plugin.verify",
        run="msp_core.testing.verification:verify",
        summary="Hold a plugin against the cases of its kinds",
        effect=Effect.READ,
        surfaces=_PEOPLE,
        repairs=True,
        example="msp-toolkit plugin verify check-disk",
    )


@hookimpl
def msp_doctor_checks() -> Iterable[DoctorCheck]:
    yield DoctorCheck(id="packages", title="Packages", run="msp_core.testing.packages:packages")
