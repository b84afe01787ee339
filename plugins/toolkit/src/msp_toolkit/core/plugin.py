"""`Plugin`: a check of your own as one class, run on every device of a sweep."""

import asyncio
import sys
import types
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, ClassVar

from attrs import field, frozen

from msp_core.v1 import (
    Check,
    CheckResult,
    Context,
    FactQuery,
    InvalidParameters,
    Missing,
    Observation,
    Source,
    Status,
    Toolkit,
    Verdict,
    hookimpl,
    plain,
)

__all__ = ["CheckResult", "Plugin"]

TIMEOUT_S = 30.0


class Plugin(ABC):
    """A check written as a class: `execute` looks at one device and says how it is.

    `context` has `client_id`, `device_id` and `device` (a dict with `name`, `hostname`, `os`, `addresses` ...). It
    runs in a thread and may do I/O. What it raises becomes an UNKNOWN result that names it; so does running longer than
    30 seconds.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "0"

    @abstractmethod
    def execute(self, context: dict[str, Any]) -> CheckResult:
        """Look at one device; return `CheckResult(status="healthy", message="...", data={...})`."""


@frozen
class NoLimits:
    """A check written as a class keeps its limits to itself."""


def check_module(plugin: type[Plugin], toolkit: Toolkit) -> tuple[str, types.ModuleType]:
    """Return the plugin id of a class, and a module that offers it the way an installed plugin would."""
    name = getattr(plugin, "name", None)
    if (
        not isinstance(name, str)
        or not name.replace("_", "").replace("-", "").isalnum()
        or not name.isascii()
    ):
        message = (
            f"{plugin.__name__}.name is {name!r}; it must be a word such as 'custom_disk_check'."
        )
        raise InvalidParameters(message, suggestion="Set name to letters, digits and underscores.")
    id = name.lower().replace("_", "-").strip("-")
    if id in toolkit.registry.candidates:
        message = f"A plugin {id!r} is there already."
        raise InvalidParameters(message, suggestion="Give the class another name.")
    module = types.ModuleType(f"msp_toolkit.registered.{id.replace('-', '_')}_{id_of(toolkit)}")
    fact = type("Result", (ClassResult,), {"fact_id": id})
    fact.__module__ = module.__name__
    vars(module).update(Result=fact, read=_reader(plugin, fact, id), evaluate=_evaluate)

    def msp_checks() -> Iterable[Check]:
        yield Check(
            id=id,
            title=name.replace("_", " ").replace("-", " ").capitalize(),
            aliases=(name,) if name != id else (),
            needs=(fact,),
            limits="msp_toolkit.core.plugin:NoLimits",
            evaluate=f"{module.__name__}:evaluate",
            summary=f"{plugin.__name__} {plugin.version}",
        )

    def msp_sources() -> Iterable[Source]:
        yield Source(id=f"{id}.run", facts=(fact,), read=f"{module.__name__}:read")

    vars(module).update(msp_checks=hookimpl(msp_checks), msp_sources=hookimpl(msp_sources))
    sys.modules[module.__name__] = module
    return id, module


def id_of(toolkit: Toolkit) -> str:
    """Return a word that keeps the modules of two toolkits in one process apart."""
    return f"{id(toolkit):x}"


@frozen(kw_only=True)
class ClassResult:
    """What `execute` said about one device."""

    fact_id: ClassVar[str] = ""
    status: Status
    message: str
    data: Mapping[str, Any] = field(factory=dict)


def _reader(plugin: type[Plugin], fact: Any, id: str) -> Any:
    async def read(
        ctx: Context, _adapter: None, query: FactQuery
    ) -> AsyncIterator[Observation | Missing]:
        instance = plugin()
        for target in query.targets:
            context = {
                "client_id": target.device.client_id,
                "device_id": target.device.id,
                "device": plain(target.device),
            }
            reason = ""
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    result: Any = await asyncio.to_thread(instance.execute, context)
            except TimeoutError:
                reason = f"{plugin.__name__} did not finish within {TIMEOUT_S:g} s"
            except Exception as error:  # noqa: BLE001, becomes an UNKNOWN result that names it
                reason = f"{plugin.__name__} raised {type(error).__name__}: {error}"
            else:
                if not isinstance(result, CheckResult):
                    reason = f"{plugin.__name__} returned a {type(result).__name__} instead of a CheckResult"
            if reason:
                yield Missing(
                    device_id=target.device.id, fact_id=id, source=f"{id}.run", reason=reason
                )
                continue
            yield Observation(
                device_id=target.device.id,
                fact=fact(status=result.status, message=result.message, data=plain(result.data)),
                source=f"{id}.run",
                observed_at=ctx.now(),
                vantage="toolkit",
            )

    return read


def _evaluate(result: Any, **_: Any) -> Verdict:
    return Verdict(result.status, result.message, data=result.data)
