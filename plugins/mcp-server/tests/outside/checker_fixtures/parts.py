"""The fixtures themselves."""

import asyncio
import base64
from typing import Annotated, Any

from msp_core.v1 import Conflict, Context, Doc, McpResult, Param

_PNG = base64.b64encode(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
).decode()
_WAV = base64.b64encode(
    b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0@\x1f\0\0@\x1f\0\0\x01\0\x08\0data\0\0\0\0"
).decode()


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image() -> dict[str, Any]:
    return {"type": "image", "data": _PNG, "mimeType": "image/png"}


def _resource(uri: str) -> dict[str, Any]:
    return {
        "type": "resource",
        "resource": {"uri": uri, "mimeType": "text/plain", "text": "An embedded resource."},
    }


def _content(*blocks: dict[str, Any]) -> McpResult:
    return McpResult(content=blocks)


async def simple_text(ctx: Context) -> McpResult:
    """Give text."""
    return _content(_text("This is a simple text response for testing."))


async def image_content(ctx: Context) -> McpResult:
    """Give an image."""
    return _content(_image())


async def audio_content(ctx: Context) -> McpResult:
    """Give a sound."""
    return _content({"type": "audio", "data": _WAV, "mimeType": "audio/wav"})


async def embedded_resource(ctx: Context) -> McpResult:
    """Give a resource."""
    return _content(_resource("test://embedded-resource"))


async def multiple_content_types(ctx: Context) -> McpResult:
    """Give several at once."""
    return _content(
        _text("Multiple content types:"), _image(), _resource("test://mixed-content-resource")
    )


async def error_handling(ctx: Context) -> str:
    """Fail."""
    message = "This tool intentionally returns an error for testing"
    raise Conflict(message)


async def tool_with_progress(ctx: Context) -> str:
    """Report progress."""
    for done in (0, 50, 100):
        ctx.progress.update(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(0.15)
    return "done"


async def static_text(ctx: Context) -> str:
    """Give text."""
    return "This is the content of the static text resource."


async def static_binary(ctx: Context) -> bytes:
    """Give bytes."""
    return base64.b64decode(_PNG)


async def template(ctx: Context, id: str) -> dict[str, Any]:
    """Give what the URI names."""
    return {"id": id, "templateTest": True, "data": f"Data for ID: {id}"}


async def simple_prompt(ctx: Context) -> str:
    """Give text."""
    return "This is a simple prompt for testing."


async def prompt_with_arguments(
    ctx: Context,
    *,
    arg1: Annotated[str, Doc("First test argument")],
    arg2: Annotated[str, Doc("Second test argument")],
) -> str:
    """Give text with what was given."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


async def prompt_with_embedded_resource(
    ctx: Context,
    *,
    uri: Annotated[str, Doc("URI of the resource to embed"), Param(mcp="resourceUri")],
) -> list[dict[str, Any]]:
    """Give a resource and text."""
    return [
        {"role": "user", "content": _resource(uri)},
        {"role": "user", "content": _text("Please process the embedded resource above.")},
    ]


async def prompt_with_image(ctx: Context) -> list[dict[str, Any]]:
    """Give an image and text."""
    return [
        {"role": "user", "content": _image()},
        {"role": "user", "content": _text("Please analyze the image above.")},
    ]
