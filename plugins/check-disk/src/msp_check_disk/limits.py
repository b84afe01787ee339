"""Limits of the disk check."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any

from attrs import asdict, evolve, field, frozen

from msp_check_disk.space import Bounds
from msp_core.v1 import Doc, Levels, not_above, not_below, positive


@frozen(kw_only=True)
class MountLimits:
    """Limits of one volume that differ from the rest; what is not given stays as it is."""

    warning_percent: Annotated[float | None, Doc("As in the limits of all volumes.")] = None
    critical_percent: Annotated[float | None, Doc("As in the limits of all volumes.")] = None
    warning_free_gb: Annotated[float | None, Doc("As in the limits of all volumes.")] = None
    critical_free_gb: Annotated[float | None, Doc("As in the limits of all volumes.")] = None
    warning_enough_free_gb: Annotated[float | None, Doc("As in the limits of all volumes.")] = None
    critical_enough_free_gb: Annotated[float | None, Doc("As in the limits of all volumes.")] = None


def _mounts_fit(limits: "DiskLimits", _attribute: Any, mounts: Mapping[str, MountLimits]) -> None:
    for mount, own in mounts.items():
        try:
            limits._with(own)
        except ValueError as error:
            raise ValueError(f"mounts[{mount!r}]: {error}") from error


@frozen(kw_only=True)
class DiskLimits:
    """Limits of the disk check. A gigabyte is 1,000,000,000 bytes."""

    warning_percent: Annotated[float | None, Doc("Use of a volume that is a warning.")] = field(
        default=85.0, validator=positive
    )
    critical_percent: Annotated[float | None, Doc("Use of a volume that is critical.")] = field(
        default=95.0, validator=not_below("warning_percent")
    )
    warning_recover_percent: Annotated[
        float | None, Doc("A warning ends below this; 5 % under the limit if not given.")
    ] = field(default=None, validator=not_above("warning_percent"))
    critical_recover_percent: Annotated[
        float | None, Doc("A critical state ends below this; 5 % under the limit if not given.")
    ] = field(default=None, validator=not_above("critical_percent"))
    warning_enough_free_gb: Annotated[
        float | None, Doc("With this much free, the percentage is no warning (large volumes).")
    ] = field(default=200.0, validator=positive)
    critical_enough_free_gb: Annotated[
        float | None, Doc("With this much free, the percentage is not critical (large volumes).")
    ] = field(default=100.0, validator=not_above("warning_enough_free_gb"))
    warning_free_gb: Annotated[
        float | None, Doc("Less free than this is a warning, whatever the percentage.")
    ] = field(default=None, validator=positive)
    critical_free_gb: Annotated[
        float | None, Doc("Less free than this is critical, whatever the percentage.")
    ] = field(default=None, validator=not_above("warning_free_gb"))
    warning_inodes_percent: Annotated[float | None, Doc("Use of inodes that is a warning.")] = (
        field(default=90.0, validator=positive)
    )
    critical_inodes_percent: Annotated[float | None, Doc("Use of inodes that is critical.")] = (
        field(default=95.0, validator=not_below("warning_inodes_percent"))
    )
    ignore_mounts: Annotated[
        tuple[str, ...], Doc("Volumes to leave out, as patterns: `/mnt/scratch*`, `E:`.")
    ] = ()
    read_only_mounts: Annotated[
        tuple[str, ...], Doc("Volumes that may become read-only, as patterns.")
    ] = ()
    mounts: Annotated[
        Mapping[str, MountLimits], Doc("Other limits for single volumes, by mount or letter.")
    ] = field(factory=dict, validator=_mounts_fit)

    @cached_property
    def critical(self) -> Bounds:
        """What makes the space of a volume critical."""
        return Bounds(
            percent=self.critical_percent,
            recover_percent=self.critical_recover_percent,
            enough_free_gb=self.critical_enough_free_gb,
            least_free_gb=self.critical_free_gb,
        )

    @cached_property
    def warning(self) -> Bounds:
        """What makes the space of a volume a warning."""
        return Bounds(
            percent=self.warning_percent,
            recover_percent=self.warning_recover_percent,
            enough_free_gb=self.warning_enough_free_gb,
            least_free_gb=self.warning_free_gb,
        )

    @cached_property
    def inodes(self) -> Levels:
        """The levels of inodes."""
        return Levels(warning=self.warning_inodes_percent, critical=self.critical_inodes_percent)

    @cached_property
    def _by_mount(self) -> Mapping[str, "DiskLimits"]:
        return {
            name.casefold(): self._with(own) for name, own in reversed(tuple(self.mounts.items()))
        }

    def _with(self, own: MountLimits) -> "DiskLimits":
        given = {key: value for key, value in asdict(own).items() if value is not None}
        return evolve(self, mounts={}, **given)

    def for_mount(self, mount: str) -> "DiskLimits":
        """Return the limits that hold for one volume."""
        return self._by_mount.get(mount.casefold(), self) if self.mounts else self

    def ignores(self, mount: str) -> bool:
        """Tell whether the volume is left out."""
        return _matches(mount, self.ignore_mounts)

    def allows_read_only(self, mount: str) -> bool:
        """Tell whether the volume may be read-only."""
        return _matches(mount, self.read_only_mounts)


def _matches(mount: str, patterns: tuple[str, ...]) -> bool:
    return bool(patterns) and any(
        fnmatchcase(mount.casefold(), pattern.casefold()) for pattern in patterns
    )
