"""Our program without the row in the audit trail, to tell what that costs."""

import sys

from msp_access.guard import AccessGuard
from msp_core.cli import main


async def _nothing(*_: object) -> None:
    pass


if __name__ == "__main__":
    AccessGuard.record = _nothing  # type: ignore[assignment, method-assign]
    sys.exit(main())
