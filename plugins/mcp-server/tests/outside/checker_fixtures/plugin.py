"""What the conformance suite asks for, offered through the ordinary hooks."""

from collections.abc import Iterable

from msp_core.v1 import Effect, McpPrompt, McpResource, Tool, hookimpl

_HERE = "checker_fixtures.parts"
_TALKING = "checker_fixtures.talking"
_ASKED = {
    "tool_with_logging": "tool_with_logging",
    "logging_tool": "tool_with_logging",
    "sampling": "sampling",
    "elicitation": "elicitation",
    "elicitation_sep1034_defaults": "elicitation_defaults",
    "elicitation_sep1330_enums": "elicitation_enums",
    "missing_capability": "sampled_capital",
    "streaming_elicitation": "streaming_elicitation",
    "input_required_result_elicitation": "asked_name",
    "input_required_result_sampling": "sampled_capital",
    "input_required_result_list_roots": "listed_roots",
    "input_required_result_request_state": "confirmed",
    "input_required_result_tampered_state": "confirmed",
    "input_required_result_multiple_inputs": "several",
    "input_required_result_multi_round": "two_rounds",
    "input_required_result_capabilities": "whatever_it_can",
}
"""The suite's names of tools that ask, and what each does."""


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer a tool for each kind of content, and for each way to ask."""
    for name, function in _ASKED.items():
        yield Tool(
            name="test." + name.replace("_", "-"),
            run=f"{_TALKING}:{function}",
            summary=f"Fixture {name}",
            effect=Effect.READ,
        )
    for name in (
        "simple_text",
        "image_content",
        "audio_content",
        "embedded_resource",
        "multiple_content_types",
        "error_handling",
        "tool_with_progress",
    ):
        yield Tool(
            name="test." + name.replace("_", "-"),
            run=f"{_HERE}:{name}",
            summary=f"Fixture {name}",
            effect=Effect.READ,
        )


@hookimpl
def msp_mcp_resources() -> Iterable[McpResource]:
    """Offer text, bytes and a template."""
    yield McpResource(
        name="static-text",
        title="Text",
        uri="test://static-text",
        run=f"{_HERE}:static_text",
        summary="Text",
        mime_type="text/plain",
    )
    yield McpResource(
        name="static-binary",
        title="Bytes",
        uri="test://static-binary",
        run=f"{_HERE}:static_binary",
        summary="Bytes",
        mime_type="image/png",
    )
    yield McpResource(
        name="template",
        title="Template",
        uri="test://template/{id}/data",
        run=f"{_HERE}:template",
        summary="Any",
        complete=f"{_TALKING}:complete",
    )
    yield McpResource(
        name="watched",
        title="Watched",
        uri="test://watched-resource",
        run=f"{_TALKING}:watched",
        summary="Something to subscribe to",
    )


@hookimpl
def msp_mcp_prompts() -> Iterable[McpPrompt]:
    """Offer a prompt of each shape."""
    for name in (
        "simple_prompt",
        "prompt_with_arguments",
        "prompt_with_embedded_resource",
        "prompt_with_image",
    ):
        yield McpPrompt(
            name=f"test_{name}",
            title=name,
            run=f"{_HERE}:{name}",
            summary=f"Fixture {name}",
            complete=f"{_TALKING}:complete",
        )
    yield McpPrompt(
        name="test_input_required_result_prompt",
        title="Asks",
        run=f"{_TALKING}:prompt_with_input",
        summary="Fixture that asks",
    )
