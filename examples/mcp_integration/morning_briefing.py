"""Be an agent without a model: start the server, follow the morning briefing, print what it says."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters

PROGRAM = str(Path(sys.executable).parent / "msp-toolkit")
FLEET = '[rmm]\nprovider = "mock"\nclients = 5\ndevices = 60\n'


def server(folder: Path) -> StdioServerParameters:
    """Say how to start the server, as an agent's configuration does."""
    return StdioServerParameters(
        command=PROGRAM,
        args=["mcp"],
        env={**os.environ, "MSP_CONFIG": str(folder / "msp-toolkit.toml")},
    )


async def ask(agent: Client, tool: str, **arguments: Any) -> Any:
    """Call a tool and return its data; stop where it fails."""
    result = await agent.call_tool(tool, arguments)
    if result.is_error:
        raise SystemExit(getattr(result.content[0], "text", "the call failed"))
    return result.structured_content


async def briefing(agent: Client) -> None:
    """Do what the prompt says, one step after the other."""
    prompt = await agent.get_prompt("morning-briefing", {})
    print(getattr(prompt.messages[0].content, "text", ""), "\n")
    clients = await ask(agent, "client_list")
    healthy = 0
    for client in clients["items"]:
        sweep = await ask(agent, "health_check", client_id=client["id"])
        alerts = await ask(agent, "alert_list", client_id=client["id"])
        concerns = sweep.get("concerns", [])
        healthy += not concerns
        print(f"{client['name']}: {client['devices']} devices, {alerts['total']} open alerts")
        for concern in concerns:
            print(f"  {concern['status']}: {concern['device']}: {concern['message']}")
    print(f"\n{clients['total']} clients, {healthy} of them entirely healthy.")


async def main() -> None:
    """Make a workspace with a simulated fleet, and brief."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "msp-toolkit.toml").write_text(FLEET)
        sync = await asyncio.create_subprocess_exec(
            PROGRAM, "client", "sync", "--all", "--create", cwd=folder
        )
        await sync.wait()
        async with Client(server(folder)) as agent:
            await briefing(agent)


if __name__ == "__main__":
    asyncio.run(main())
