"""
The extension io.modelcontextprotocol/tasks: a long call is answered with a task, which the client
polls until it is done.

https://modelcontextprotocol.io/seps/2663-tasks-extension
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import logging
import secrets
from collections.abc import Sequence
from typing import Any, cast

import attrs
import mcp.types as t
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import CallToolRequestParams, RequestParams, RequestParamsMeta
from pydantic import BaseModel, Field

from imagesession_mcp.app_state import current_principal
from imagesession_mcp.tasks import no_time_limit

_VERSIONS = frozenset({"2026-07-28"})
_TTL_SECONDS = 3600
_POLL_MS = 1000
_Ctx = ServerRequestContext[Any, Any]

log = logging.getLogger("imagesession_mcp")


class TaskParams(RequestParams):
    """
    The parameters of all three methods. Input responses are ignored, as no tool requests input.
    """

    task_id: str = Field(alias="taskId")


@attrs.define(eq=False)
class ProtocolTask:
    """
    A call that continues after the client was answered with a task. Only its owner, the principal
    that called, can find it.
    """

    owner: str
    call: asyncio.Task[HandlerResult]
    id: str = attrs.field(factory=lambda: secrets.token_urlsafe(24))
    created: dt.datetime = attrs.field(factory=lambda: dt.datetime.now(dt.UTC))
    updated: dt.datetime = attrs.field(factory=lambda: dt.datetime.now(dt.UTC))

    def __attrs_post_init__(self) -> None:
        self.call.add_done_callback(self._on_done)

    def _on_done(self, _: object) -> None:
        self.updated = dt.datetime.now(dt.UTC)

    def payload(self, result_type: str) -> dict[str, Any]:
        """
        Return the task as the protocol defines it, with its outcome once it has ended. The result
        type is `task` when it is created, and `complete` in answers about it.
        """
        status, outcome = _outcome(self.call) if self.call.done() else ("working", {})
        return {
            "resultType": result_type,
            "taskId": self.id,
            "status": status,
            "createdAt": self.created.isoformat(),
            "lastUpdatedAt": self.updated.isoformat(),
            "ttlMs": _TTL_SECONDS * 1000,
            "pollIntervalMs": _POLL_MS,
            **outcome,
        }


class TasksExtension(Extension):
    """
    Answers long calls with a task, for clients that support tasks.

    Attributes:
        grace: Seconds within which a call is still answered with its result.
    """

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, grace: float = 0.5) -> None:
        self.grace = grace
        self._tasks: dict[str, ProtocolTask] = {}

    def methods(self) -> Sequence[MethodBinding]:
        """
        Return the three methods of the extension.
        """
        return [
            MethodBinding("tasks/get", TaskParams, self._get, _VERSIONS),
            MethodBinding("tasks/update", TaskParams, self._update, _VERSIONS),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, _VERSIONS),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: _Ctx, call_next: CallNext
    ) -> HandlerResult:
        """
        Answer a call with its result, or with a task if it takes longer than the grace period.
        """
        if ctx.protocol_version not in _VERSIONS or not _client_knows_tasks(ctx):
            return await call_next(ctx)
        call = asyncio.create_task(_call_without_limit(ctx, call_next), name=f"call {params.name}")
        try:
            await asyncio.wait({call}, timeout=self.grace)
        except asyncio.CancelledError:
            call.cancel()
            raise
        return await call if call.done() else self._create(call).payload("task")

    def _create(self, call: asyncio.Task[HandlerResult]) -> ProtocolTask:
        oldest = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=_TTL_SECONDS)
        for earlier in list(self._tasks.values()):
            if earlier.call.done() and earlier.updated <= oldest:
                del self._tasks[earlier.id]
        task = ProtocolTask(current_principal(), call)
        self._tasks[task.id] = task
        return task

    async def _get(self, ctx: _Ctx, params: TaskParams) -> HandlerResult:
        return self._find(ctx, params).payload("complete")

    async def _update(self, ctx: _Ctx, params: TaskParams) -> HandlerResult:
        self._find(ctx, params)
        return {"resultType": "complete"}

    async def _cancel(self, ctx: _Ctx, params: TaskParams) -> HandlerResult:
        self._find(ctx, params).call.cancel()
        return {"resultType": "complete"}

    def _find(self, ctx: _Ctx, params: TaskParams) -> ProtocolTask:
        require_client_extension(ctx, self.identifier)
        _check_header(ctx, params)
        task = self._tasks.get(params.task_id)
        if task is None or task.owner != current_principal():
            raise MCPError(
                t.INVALID_PARAMS,
                "There is no such task. If the server was restarted since, list_images still has "
                "the images that it generated.",
            )
        return task


async def _call_without_limit(ctx: _Ctx, call_next: CallNext) -> HandlerResult:
    # A polling client needs no handle, and the request that could carry progress has ended.
    no_time_limit.set(True)
    meta = {key: value for key, value in (ctx.meta or {}).items() if key != "progress_token"}
    without_progress = dataclasses.replace(ctx, meta=cast("RequestParamsMeta", meta))
    return await call_next(without_progress)


def _client_knows_tasks(ctx: _Ctx) -> bool:
    capabilities = ctx.session.client_capabilities
    return TasksExtension.identifier in ((capabilities and capabilities.extensions) or {})


def _check_header(ctx: _Ctx, params: TaskParams) -> None:
    # SEP-2243: the header routes the request, so it has to name the same task.
    headers = getattr(ctx.request, "headers", None)
    if headers is None:
        return
    if decode_header_value(headers.get(MCP_NAME_HEADER)) != params.task_id:
        raise MCPError(t.HEADER_MISMATCH, "The header Mcp-Name does not name the task in the body.")


def _outcome(call: asyncio.Task[HandlerResult]) -> tuple[str, dict[str, Any]]:
    if call.cancelled():
        return "cancelled", {}
    error = call.exception()
    if error is None:
        result = call.result()
        if isinstance(result, BaseModel):
            result = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        return "completed", {"result": result}
    if isinstance(error, MCPError):
        return "failed", {"error": error.error.model_dump(mode="json", exclude_none=True)}
    log.error("A task failed", exc_info=error)
    return "failed", {"error": {"code": t.INTERNAL_ERROR, "message": "Internal error"}}
