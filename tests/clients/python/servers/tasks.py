"""A server of 2025-11-25 whose one tool goes on as a task, where its caller wants that (basic/utilities/tasks)."""

import wire

RELATED = "io.modelcontextprotocol/related-task"
TOOL = wire.tool("make", "Makes something, also as a task") | {"execution": {"taskSupport": "optional"}}
OFFERS = {"tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}}

tasks: list[str] = []


def state(task: str) -> wire.Message:
    at = "2026-01-01T00:00:00Z"
    return {"taskId": task, "status": "completed", "createdAt": at, "lastUpdatedAt": at, "ttl": None}


def call(request: wire.Message, _tool: str, _arguments: wire.Message) -> None:
    if "task" not in request["params"]:
        wire.reply(request, wire.text_result("made at once"))
        return
    tasks.append(f"task-{len(tasks)}")
    wire.reply(request, {"task": state(tasks[-1])})


def listed(request: wire.Message, _params: wire.Message) -> None:
    wire.reply(request, {"tasks": [state(task) for task in tasks]})


def got(request: wire.Message, params: wire.Message) -> None:
    if params.get("taskId") in tasks:
        wire.reply(request, state(params["taskId"]))
    else:
        wire.fail(request, wire.INVALID_PARAMS, "Unknown task")


def result(request: wire.Message, params: wire.Message) -> None:
    if params.get("taskId") in tasks:
        related = {"_meta": {RELATED: {"taskId": params["taskId"]}}}
        wire.reply(request, wire.text_result("made by a task") | related)
    else:
        wire.fail(request, wire.INVALID_PARAMS, "Unknown task")


MORE = {"tasks/list": listed, "tasks/get": got, "tasks/result": result}
wire.serve_legacy("tasks", [TOOL], call, more=MORE, offers=OFFERS)
