"""Fixtures that speak to the person or the agent while they run."""

import asyncio
import json
from enum import StrEnum
from typing import Annotated, Any

from attrs import frozen

from msp_core.v1 import AgentRequest, Context, Doc


@frozen(kw_only=True)
class Name:
    """Who somebody is."""

    name: str


@frozen(kw_only=True)
class Colour:
    """What somebody likes."""

    color: str


@frozen(kw_only=True)
class Sure:
    """Whether somebody is sure."""

    ok: bool


@frozen(kw_only=True)
class Background:
    """What a prompt is about."""

    context: str


@frozen(kw_only=True)
class Address:
    """Whom to write to."""

    username: Annotated[str, Doc("User's response")]
    email: Annotated[str, Doc("User's email address")]


class State(StrEnum):
    """How an account is."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    PENDING = "pending"


@frozen(kw_only=True)
class Account:
    """A field of each kind, each with a default."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: State = State.ACTIVE
    verified: bool = True


async def tool_with_logging(ctx: Context) -> str:
    """Say three things."""
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        ctx.say(text)
        await asyncio.sleep(0.05)
    return "done"


async def elicitation(ctx: Context, *, message: str) -> str:
    """Ask the person."""
    return f"User response: {await ctx.ask(message, Address)}"


async def elicitation_defaults(ctx: Context) -> str:
    """Ask with defaults."""
    return f"Elicitation completed: {await ctx.ask('Is this right?', Account)}"


async def elicitation_enums(ctx: Context) -> str:
    """Ask in the protocol's own words, with every shape of choice it knows."""
    titled = [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)]
    plain = ["option1", "option2", "option3"]
    schema = {
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": plain},
            "titledSingle": {"type": "string", "oneOf": titled},
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled}},
        },
    }
    params = {"message": "Choose", "requestedSchema": schema}
    said = await _of_agent(ctx, choice=AgentRequest(method="elicitation/create", params=params))
    return f"Elicitation completed: {said}"


def _sampling(text: str, most: int = 100) -> AgentRequest:
    message = {"role": "user", "content": {"type": "text", "text": text}}
    return AgentRequest(
        method="sampling/createMessage", params={"messages": [message], "maxTokens": most}
    )


def _name() -> AgentRequest:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    return AgentRequest(
        method="elicitation/create",
        params={"message": "What is your name?", "requestedSchema": schema},
    )


_ROOTS = AgentRequest(method="roots/list")


async def _of_agent(ctx: Context, **requests: AgentRequest) -> str:
    assert ctx.agent is not None
    return json.dumps(await ctx.agent.request(requests))


async def sampling(ctx: Context, *, prompt: str) -> str:
    """Have the agent's model answer."""
    return f"LLM response: {await _of_agent(ctx, answer=_sampling(prompt))}"


async def sampled_capital(ctx: Context) -> str:
    """Have the agent's model answer."""
    return await _of_agent(ctx, capital_question=_sampling("What is the capital of France?"))


async def listed_roots(ctx: Context) -> str:
    """Have the agent list its folders."""
    return await _of_agent(ctx, client_roots=_ROOTS)


async def several(ctx: Context) -> str:
    """Ask three things at once."""
    return await _of_agent(
        ctx, user_name=_name(), greeting=_sampling("Generate a greeting", 50), client_roots=_ROOTS
    )


async def whatever_it_can(ctx: Context) -> str:
    """Ask for what the agent offers, and nothing else."""
    assert ctx.agent is not None
    wanted = {"greeting": _sampling("Generate a greeting", 50), "user_name": _name()}
    can = {key: one for key, one in wanted.items() if ctx.agent.can(one.method)}
    return json.dumps(await ctx.agent.request(can))


async def asked_name(ctx: Context) -> str:
    """Ask for a name."""
    said = await ctx.ask("What is your name?", Name, key="user_name")
    return f"Hello, {said.name}!" if said else "Hello, whoever you are!"


async def confirmed(ctx: Context) -> str:
    """Ask whether to go on."""
    said = await ctx.ask("Please confirm", Sure, key="confirm")
    return f"state-ok {said}"


async def two_rounds(ctx: Context) -> str:
    """Ask twice, one after the other."""
    name = await ctx.ask("Step 1: What is your name?", Name, key="step1")
    colour = await ctx.ask("Step 2: What is your favorite color?", Colour, key="step2")
    return f"{name} {colour}"


async def streaming_elicitation(ctx: Context) -> str:
    """Say something, then ask."""
    ctx.say("about to ask")
    return f"{await ctx.ask('Go on?', Sure)}"


async def prompt_with_input(ctx: Context) -> str:
    """Ask what the prompt is about."""
    said = await ctx.ask("What context should the prompt use?", Background, key="user_context")
    return f"Use this: {said.context if said else 'nothing'}"


async def complete(ctx: Context, argument: str, value: str) -> list[str]:
    """Complete any argument."""
    return [f"{value}{end}" for end in ("", "ing", "s")]


async def watched(ctx: Context) -> dict[str, Any]:
    """Give something to watch."""
    return {"watched": True}
