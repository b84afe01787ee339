"""What agents read and choose beside tools: resources, prompts, and what completes their arguments."""

import base64
import json
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError

from msp_core.v1 import (
    McpPrompt,
    McpResource,
    MspError,
    Principal,
    RateLimited,
    Surface,
    choices,
    completion,
    invoke,
    mask_data,
    parameters,
    plain,
)
from msp_mcp_server.catalog import may_use
from msp_mcp_server.desk import Desk
from msp_mcp_server.hygiene import cleaned, safe, untrusted_fields, untrusted_meta
from msp_mcp_server.talk import NobodyToAsk, Request, Talk, Undeclared, lacking
from msp_mcp_server.waiting import Conversations, caller_of

_MOST_COMPLETIONS = 100


class Documents:
    """The resources and prompts of every plugin."""

    def __init__(self, desk: Desk, conversations: Conversations) -> None:
        self._desk = desk
        self._conversations = conversations
        self._resources = desk.catalog.resources
        self._prompts = desk.catalog.prompts

    async def list_resources(
        self, ctx: Request, _params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """List the resources that have one fixed URI."""
        caller = await caller_of(ctx, self._desk)
        return types.ListResourcesResult(
            resources=[
                types.Resource(
                    name=one.name,
                    uri=one.uri,
                    title=one.title,
                    description=one.summary,
                    mime_type=one.mime_type,
                )
                for one in self._resources
                if not one.variables and may_use(caller, one.tool)
            ]
        )

    async def list_templates(
        self, ctx: Request, _params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """List the resources whose URI holds a variable."""
        caller = await caller_of(ctx, self._desk)
        return types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(
                    name=one.name,
                    uri_template=one.uri,
                    title=one.title,
                    description=one.summary,
                    mime_type=one.mime_type,
                )
                for one in self._resources
                if one.variables and may_use(caller, one.tool)
            ]
        )

    async def read_resource(
        self, ctx: Request, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """Read a resource the way a tool is called: authorised, audited, in the caller's scope."""
        return await self.read(await caller_of(ctx, self._desk), str(params.uri))

    async def read(self, caller: Principal, uri: str) -> types.ReadResourceResult:
        """Read a resource for somebody."""
        await self._desk.learn()
        for one in self._resources:
            found = one.match(uri)
            if found is not None and may_use(caller, one.tool):
                try:
                    result = await invoke(one.tool, found, self._desk.context(caller))
                except MspError as error:
                    raise _fault(error, uri=safe(uri)) from None
                return types.ReadResourceResult(contents=[_contents(uri, one, result)])
        fault = MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": safe(uri)[:300]})
        raise await self._unknown(caller, uri, fault)

    async def list_prompts(
        self, ctx: Request, _params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        """List the prompts."""
        caller = await caller_of(ctx, self._desk)
        shown = [one for one in self._prompts if may_use(caller, one.tool)]
        return types.ListPromptsResult(prompts=[self._prompt(one) for one in shown])

    def _prompt(self, one: McpPrompt) -> types.Prompt:
        return types.Prompt(
            name=one.name,
            title=one.title,
            description=one.summary,
            arguments=[
                types.PromptArgument(
                    name=each.name_on(Surface.MCP),
                    description=each.doc or None,
                    required=each.required,
                )
                for each in parameters(self._desk.toolkit.registry.load(one.run))
            ],
        )

    async def get_prompt(
        self, ctx: Request, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult:
        """Give a prompt's text; it may ask its person for what it needs."""
        caller = await caller_of(ctx, self._desk)
        named = (one for one in self._prompts if one.name == params.name)
        one = next((one for one in named if may_use(caller, one.tool)), None)
        if one is None:
            fault = MCPError(types.INVALID_PARAMS, f"Unknown prompt: {safe(params.name)[:100]}")
            raise await self._unknown(caller, params.name, fault)

        async def work(talk: Talk) -> Any:
            await self._desk.learn()
            return await invoke(one.tool, params.arguments or {}, self._desk.context(caller, talk))

        try:
            said = await self._conversations.hold(ctx, caller, work)
        except (Undeclared, NobodyToAsk) as error:
            raise lacking(error) from None
        except MspError as error:
            raise _fault(error) from None
        if isinstance(said, types.InputRequiredResult):
            return said
        messages = (
            [{"role": "user", "content": {"type": "text", "text": said}}]
            if isinstance(said, str)
            else said
        )
        return types.GetPromptResult(
            description=one.summary,
            messages=[types.PromptMessage.model_validate(safe(message)) for message in messages],
        )

    async def _unknown(self, caller: Principal, name: str, fault: MCPError) -> MCPError:
        """Return the error of a request for what is not there: this one, until there are too many."""
        try:
            await self._desk.unknown(caller, name)
        except RateLimited as error:
            return _fault(error)
        return fault

    async def complete(
        self, ctx: Request, params: types.CompleteRequestParams
    ) -> types.CompleteResult:
        """Complete an argument of a prompt, or a variable of a resource."""
        caller = await caller_of(ctx, self._desk)
        one = self._named(caller, params.ref)
        argument, value = params.argument.name, params.argument.value
        known = self._choices(one, argument)
        tool = completion(one)
        if known:
            found = [word for word in known if word.lower().startswith(value.lower())]
        elif tool is None:
            found = []
        else:
            context = self._desk.context(caller)
            await self._desk.learn()
            try:
                made = await invoke(tool, {"argument": argument, "value": value}, context)
            except MspError as error:
                raise _fault(error) from None
            found = [safe(str(word)) for word in made]
        return types.CompleteResult(
            completion=types.Completion(
                values=found[:_MOST_COMPLETIONS],
                total=len(found),
                has_more=len(found) > _MOST_COMPLETIONS,
            )
        )

    def _named(
        self, caller: Principal, ref: types.PromptReference | types.ResourceTemplateReference
    ) -> McpPrompt | McpResource:
        found: list[McpPrompt | McpResource] = []
        if isinstance(ref, types.PromptReference):
            found += [one for one in self._prompts if one.name == ref.name]
        else:
            found += [one for one in self._resources if one.uri == ref.uri]
        for one in found:
            if may_use(caller, one.tool):
                return one
        raise MCPError(types.INVALID_PARAMS, "There is no such prompt or resource template.")

    def _choices(self, one: McpPrompt | McpResource, argument: str) -> tuple[str, ...]:
        """Return the values a prompt's argument is limited to."""
        registry = self._desk.toolkit.registry
        for each in parameters(registry.load(one.run)):
            if each.name_on(Surface.MCP) == argument:
                return choices(each, registry)
        return ()


def _contents(
    uri: str, one: McpResource, result: Any
) -> types.TextResourceContents | types.BlobResourceContents:
    if isinstance(result, bytes):
        blob = base64.b64encode(result).decode()
        return types.BlobResourceContents(uri=uri, mime_type=one.mime_type, blob=blob)
    if isinstance(result, str):
        return types.TextResourceContents(uri=uri, mime_type=one.mime_type, text=safe(result))
    data = cleaned(mask_data(plain(result)))
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    meta = untrusted_meta(untrusted_fields(data, {}))
    return types.TextResourceContents(uri=uri, mime_type=one.mime_type, text=text, _meta=meta)


def _fault(error: MspError, **data: Any) -> MCPError:
    """Return an error of a request that has no error result of its own."""
    code = types.INTERNAL_ERROR if error.code == "SYSTEM_ERROR" else types.INVALID_PARAMS
    shape = cleaned(mask_data(plain(error.as_dict())))
    return MCPError(code, shape["message"], {**data, "error": shape})
