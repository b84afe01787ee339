"""The sections of the configuration that the kernel itself types."""

from datetime import UTC, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import attrs

from msp_core.cron import is_cron
from msp_core.data import Data
from msp_core.records import Doc

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def zone(name: str) -> tzinfo:
    """Return the time zone of a name; UTC, the usual one, without the tables of all others."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def _is_zone(_: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    try:
        zone(value)
    except (KeyError, ValueError, OSError):
        message = f"{value!r} is not a time zone name such as Europe/Berlin"
        raise ValueError(message, attribute) from None


def _upper(word: str) -> str:
    return word.upper()


def _one_of(*words: str) -> Any:
    def check(_: object, attribute: "attrs.Attribute[str]", value: str) -> None:
        if value not in words:
            message = f"{value!r} is not one of {', '.join(words)}"
            raise ValueError(message, attribute)

    return check


@attrs.frozen(kw_only=True, eq=False, repr=False)
class General(Data):
    """Who we are, and how the toolkit behaves everywhere."""

    company_name: Annotated[str, Doc("Your company, as reports and messages name it.")] = (
        "Your MSP Name"
    )
    timezone: Annotated[str, Doc("Zone in which people are shown times.")] = attrs.field(
        default="UTC", validator=_is_zone
    )
    log_level: Annotated[str, Doc("DEBUG, INFO, WARNING, ERROR or CRITICAL.")] = attrs.field(
        default="WARNING", converter=_upper, validator=_one_of(*_LEVELS)
    )
    log_format: Annotated[str, Doc("text or json.")] = attrs.field(
        default="text", validator=_one_of("text", "json")
    )
    log_file: Annotated[Path | None, Doc("Write the log here instead of to stderr.")] = None
    data_retention_days: Annotated[
        int, Doc("Days to keep detailed results; older ones are rolled up by day, then removed.")
    ] = attrs.field(default=90, validator=[attrs.validators.ge(1), attrs.validators.le(36_500)])


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Plugins(Data):
    """Which installed plugins are used."""

    allow: Annotated[
        tuple[str, ...] | None, Doc("Only these distributions may bring plugins; for servers.")
    ] = None
    disabled: Annotated[tuple[str, ...], Doc("Plugin ids that are not loaded.")] = ()


class ReportFormat(StrEnum):
    """Formats of reports."""

    PDF = "pdf"
    HTML = "html"
    MARKDOWN = "markdown"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Reporting(Data):
    """Where reports come from and go to; used once the reports feature is installed."""

    template_dir: Annotated[Path, Doc("Folder with your own report templates.")] = Path(
        "templates/"
    )
    output_dir: Annotated[Path, Doc("Folder reports are written to.")] = Path("reports/")
    formats: Annotated[tuple[ReportFormat, ...], Doc("Formats made by default.")] = (
        ReportFormat.PDF,
        ReportFormat.HTML,
    )
    schedule: Annotated[str, Doc("When reports are made, as a cron expression.")] = attrs.field(
        default="0 1 * * *", validator=is_cron
    )


KERNEL_SECTIONS: dict[str, type] = {"general": General, "plugins": Plugins, "reporting": Reporting}
"""`reporting` is here until the feature that owns it is installed, so that its options are checked already."""
