"""The section `mcp` of the configuration."""

from typing import Annotated

from attrs import field, frozen, validators

from msp_core.v1 import Data, Doc


@frozen(kw_only=True, eq=False, repr=False)
class McpSettings(Data):
    """How the toolkit is served to agents. What they may do is in the section `access`."""

    read_only: Annotated[bool, Doc("Agents only read; checks run without being recorded.")] = False
    elicitation: Annotated[
        bool,
        Doc("Ask for approvals through the agent's own window; off, they are given on the CLI."),
    ] = True
    page: Annotated[int, Doc("Rows of a list in one answer, where the agent names no limit.")] = (
        field(default=50, validator=[validators.ge(1), validators.le(500)])
    )
    watch_seconds: Annotated[
        float, Doc("How often a resource that an agent subscribed to is read again.")
    ] = field(default=60.0, validator=[validators.ge(0.1), validators.le(86400)])
    host: Annotated[str, Doc("Where --http listens. Others than this machine need keys.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Doc("Port of --http; MCP_SERVER_PORT wins.")] = field(
        default=3000, validator=[validators.ge(0), validators.le(65535)]
    )
    allowed_hosts: Annotated[
        tuple[str, ...], Doc('Host headers that are answered, such as "msp.example.com".')
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...], Doc('Web pages that may call, such as "https://msp.example.com".')
    ] = ()
    log_level: Annotated[str, Doc("DEBUG, INFO, WARNING or ERROR; MCP_LOG_LEVEL wins.")] = ""
