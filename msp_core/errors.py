"""One tree of errors: a stable code, a message, details and what to do next."""

from collections.abc import Mapping
from typing import Any, ClassVar

from msp_core.program import typed


class MspError(Exception):
    """Report a failure a person can act on.

    `code` is stable and documented; `suggestion` says what to do next; `details` holds plain data only and never
    a secret. Subclasses fix the code and the exit code of the command line.
    """

    code: ClassVar[str] = "SYSTEM_ERROR"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, suggestion: str = "", **details: Any) -> None:
        self.message = typed(message)
        self.suggestion = typed(suggestion)
        super().__init__(self.message)
        self.details: dict[str, Any] = details

    def as_dict(self) -> Mapping[str, Any]:
        """Return the shape every surface shows: `{"code", "message", "details": {..., "suggestion"}}`."""
        details = dict(self.details)
        if self.suggestion:
            details["suggestion"] = self.suggestion
        return {"code": self.code, "message": self.message, "details": details}


class InvalidParameters(MspError):
    """An argument is missing, misspelt or out of range."""

    code = "INVALID_PARAMETERS"
    exit_code = 64


class ConfigError(MspError):
    """The configuration cannot be used; nothing was started."""

    code = "CONFIG_INVALID"


class CredentialError(MspError):
    """A secret reference cannot be resolved, or a secret store cannot be opened."""

    code = "CREDENTIAL_UNAVAILABLE"


class NotFound(MspError):
    """Something was named that does not exist."""

    code = "NOT_FOUND"


class ClientNotFound(NotFound):
    """No client has this id or name."""

    code = "CLIENT_NOT_FOUND"


class DeviceNotFound(NotFound):
    """No device of this client has this id or name."""

    code = "DEVICE_NOT_FOUND"


class AlertNotFound(NotFound):
    """No alert has this id."""

    code = "ALERT_NOT_FOUND"


class UnknownPlugin(NotFound):
    """An adapter, check, tool or provider is named that no loaded plugin offers."""

    code = "PLUGIN_NOT_FOUND"


class PluginError(MspError):
    """A plugin broke its contract or raised something unexpected."""

    code = "PLUGIN_FAILED"


class Conflict(MspError):
    """The change would contradict what is recorded, or another process holds the record."""

    code = "CONFLICT"


class AuthenticationFailed(MspError):
    """A vendor refused the credentials."""

    code = "AUTHENTICATION_FAILED"


class PermissionDenied(MspError):
    """The actor may not do this."""

    code = "PERMISSION_DENIED"


class ApprovalRequired(MspError):
    """A person has to approve the plan first; `details["plan"]` names it where one was stored."""

    code = "APPROVAL_REQUIRED"


class ConfirmationRequired(MspError):
    """The command asks a question and nobody is there to answer."""

    code = "CONFIRMATION_REQUIRED"


class RateLimited(MspError):
    """Too many requests; `details["retry_after_s"]` says when to come back, if known."""

    code = "RATE_LIMIT_EXCEEDED"


class VendorError(MspError):
    """A vendor answered with something that cannot be used."""

    code = "VENDOR_ERROR"


class VendorUnavailable(VendorError):
    """A vendor could not be reached, or is failing, after the allowed retries."""

    code = "VENDOR_UNAVAILABLE"


class VendorRefused(VendorError):
    """A vendor understood the request and refused it (403, 404, 409)."""

    code = "VENDOR_REFUSED"


class NotSupported(MspError):
    """The adapter or platform does not offer this."""

    code = "NOT_SUPPORTED"


class StoreError(MspError):
    """The database cannot be reached, is full, or is from another version."""

    code = "STORE_UNAVAILABLE"


class TimedOut(MspError):
    """The work did not finish in the time allowed."""

    code = "TIMED_OUT"


class SystemFailure(MspError):
    """An unexpected failure; the log holds the details under the correlation id."""

    code = "SYSTEM_ERROR"
