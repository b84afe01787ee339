"""The lab's made-up credentials as a place of secrets: `lab:ninjaone/client_secret`."""

import re
from collections.abc import Sequence

from msp_core.v1 import NotSupported, SecretEnv
from msp_lab.credentials import credentials

_NAME = re.compile(r"(?:seed-(?P<seed>\d{1,18})/)?(?P<name>[a-z]+/[a-z_]+)")


def reference(name: str, seed: int) -> str:
    """Return the reference of a credential of the lab with this seed."""
    return f"lab:{name}" if seed == 1 else f"lab:seed-{seed}/{name}"


class LabSecrets:
    """Answers from the seed alone: `ninjaone/client_id`, or `seed-7/ninjaone/client_id`."""

    def get(self, name: str) -> str | None:
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        return credentials(int(found["seed"] or 1)).get(found["name"])

    def names(self) -> Sequence[str]:
        return ()  # made up, not stored: `credential list` is about what somebody keeps

    def set(self, name: str, value: str) -> None:  # noqa: ARG002
        raise NotSupported("The lab's credentials are fixed.")

    def delete(self, name: str) -> bool:  # noqa: ARG002
        raise NotSupported("The lab's credentials are fixed.")


def create(_: SecretEnv) -> LabSecrets:
    """Make the provider; it needs nothing from its surroundings."""
    return LabSecrets()
