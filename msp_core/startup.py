"""What every start needs before a toolkit: the plugins that are installed and allowed, and the log.

Kept apart from the toolkit, because making the plugin index needs no event loop.
"""

from collections.abc import Callable

from msp_core import log as logs
from msp_core.config import Config
from msp_core.discovery import Candidate, PluginFailure, discover
from msp_core.errors import ConfigError
from msp_core.index import Index, read_index
from msp_core.registry import BUILTIN, Registry
from msp_core.sections import Plugins


def open_registry(
    config: Config,
    *,
    safe_mode: bool = False,
    report: Callable[[PluginFailure], None] | None = None,
    index: Index | None = None,
) -> Registry:
    """Find the plugins a configuration allows; with a warm index none is imported yet, in safe mode none ever is."""
    if safe_mode:
        return Registry(report=report, safe_mode=True)
    plugins = config.view(Plugins, "plugins")
    index = index or read_index(config.path)
    if index is None or index.failures:
        # A plugin that failed is tried again each time: somebody may have mended it, and nobody shall forget it.
        candidates, failures = discover(allow=plugins.allow)
        for failure in failures:
            # What is not allowed was left out on purpose
            if report is not None and failure.stage != "allow":
                report(failure)
    else:
        candidates, failures = (
            tuple(Candidate.of(one) for one in index.entries if one.id != BUILTIN),
            (),
        )
    return Registry(
        candidates, failures=failures, disabled=plugins.disabled, index=index, report=report
    )


def configure_logging(config: Config, *, verbose: bool = False) -> None:
    """Send the log where the `general` section says."""
    general = config.general
    path = config.resolve(general.log_file) if general.log_file else None
    try:
        logs.configure(
            "DEBUG" if verbose else general.log_level, style=general.log_format, path=path
        )
    except OSError as error:
        message = f"The log file {path} cannot be written: {error.strerror}."
        raise ConfigError(message, suggestion="Correct general.log_file.") from None
