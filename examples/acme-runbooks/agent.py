"""Be an agent without a model: read a runbook over MCP, and ask for the task of following it."""

import asyncio
import os
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters

SERVER = StdioServerParameters(
    command=str(Path(sys.executable).parent / "msp-toolkit"), args=["mcp"], env=dict(os.environ)
)


async def main() -> None:
    """Start the server in the current folder, as an agent would."""
    async with Client(SERVER) as agent:
        book = await agent.read_resource("runbook://full-disk")
        print(getattr(book.contents[0], "text", ""))
        task = await agent.get_prompt(
            "follow-runbook", {"name": "full-disk", "client": "acme-corp"}
        )
        print(getattr(task.messages[0].content, "text", ""))


if __name__ == "__main__":
    asyncio.run(main())
