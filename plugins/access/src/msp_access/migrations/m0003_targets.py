"""What a plan was shown to change, so that nothing else is changed by it."""

from msp_store.api import Migrator, json


def upgrade(m: Migrator) -> None:
    """Add the column; plans from before have none, and expire within minutes."""
    m.add_column("plans", json("targets", null=True))
