"""What the conformance suite asks for, offered through the ordinary hooks."""

from collections.abc import Iterable

from msp_core.v1 import Effect, McpPrompt, McpResource, Tool, hookimpl

_HERE = "checker_fixtures.parts"


@hookimpl
def msp_tools() -> Iterable[Tool]:
    """Offer a tool for each kind of content."""
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
            name=f"test_{name}", title=name, run=f"{_HERE}:{name}", summary=f"Fixture {name}"
        )
