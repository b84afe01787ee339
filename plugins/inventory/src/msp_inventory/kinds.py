"""What sort of thing a link names."""

from enum import StrEnum


class LinkKind(StrEnum):
    """What sort of thing a link names."""

    CLIENT = "client"
    SITE = "site"
    DEVICE = "device"
