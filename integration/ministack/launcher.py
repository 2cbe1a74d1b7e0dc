"""Starts MiniStack with what version 1.5.33 lacks for Leda's stack.

MiniStack imitates AWS in one process. Leda's template uses a few things that it refuses, drops or leaves out;
each function named in PATCHES mends one of them, says which, and does no more than AWS would. All of it rests on
names that MiniStack does not promise to keep, so another version, or a name that is gone, is a refusal to start.

Beyond MiniStack's own environment (GATEWAY_PORT, MINISTACK_SSL_CERT, ...) it reads
  EKS_ENDPOINT    the API server that every EKS cluster created here answers with
  EKS_CA_FILE     its certificate authority, PEM; read when the cluster is created
  EKS_AUTH_TOKEN  the secret in the path of the cluster's token webhook, 16 characters or more of A-Z a-z 0-9 _ -
and unless told otherwise it listens on the loopback only and enforces IAM.
"""

import asyncio.constants
import base64
import functools
import importlib.metadata
import json
import logging
import os
import re
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Callable

VERSION = "1.5.33"

# What must be known before MiniStack is imported, since it reads its environment then.
os.environ.setdefault("BIND_HOST", "127.0.0.1")
os.environ.setdefault("AUTH", "true")
os.environ.setdefault("IOT_MTLS_ENABLED", "0")  # else it opens port 8883


def require_version() -> None:
    try:
        found = importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found != VERSION:
        sys.exit(
            f"launcher.py mends MiniStack {VERSION} and found {found}: "
            f"install it with {sys.executable} -m pip install -r {Path(__file__).with_name('requirements.txt')}"
        )


require_version()

from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, responses
from ministack.services import cloudwatch, cloudwatch_logs, eks, eventbridge, lambda_svc, scheduler
from ministack.services.cloudformation import provisioners

Props = dict[str, Any]
log = logging.getLogger("launcher")

# Every name of MiniStack's used below.
NAMES = {
    app: ["main", "_port_is_bindable"],
    cloudwatch: ["_dispatch_alarm_actions", "_evaluate_alarm", "_history_entries"],
    cloudwatch_logs: ["_append_log_events", "_log_groups"],
    lambda_runtime: ["ProvidedWorker"],
    eks: [
        "_clusters",
        "_create_access_entry",
        "_create_cluster",
        "_delete_access_entry",
        "_describe_cluster",
        "_update_access_entry",
    ],
    eventbridge: ["_dispatch_to_lambda"],
    iam_actions: ["_safe_json_field", "extract_resource_arn"],
    iam_evaluator: ["EvalContext", "evaluate_resource_policy"],
    lambda_svc: [
        "_emit_lambda_logs",
        "_execution_record_for_config",
        "_functions",
        "_get_base_func_record_for_ref",
        "_get_func_record_for_ref",
        "invoke_async_with_retry",
    ],
    provisioners: ["_REPLACING_PROPERTIES", "_RESOURCE_HANDLERS", "_cw_metric_alarm_record"],
    responses: ["get_account_id", "get_region"],
    scheduler: ["_schedules"],
}


def require_names() -> None:
    missing = [
        f"{module.__name__}.{name}" for module, names in NAMES.items() for name in names if not hasattr(module, name)
    ]
    if missing:
        sys.exit(f"launcher.py needs what this MiniStack {VERSION} does not have: {', '.join(missing)}")


def body(response: tuple) -> dict:
    """The JSON of a service's answer; CloudFormation shows the error of a failed one."""
    status, _headers, raw = response
    answer = json.loads(raw or b"{}")
    if status >= 400:
        raise ValueError(answer.get("message") or answer.get("Message") or str(answer))
    return answer


# --- CloudFormation


def add_access_entry() -> None:
    """MiniStack has access entries in the EKS API, not as AWS::EKS::AccessEntry. Tags go unread and are dropped."""

    def changeable(props: Props) -> dict:
        return {"kubernetesGroups": props.get("KubernetesGroups", []), "username": props.get("Username", "")}

    def refuse_policies(props: Props) -> None:
        if props.get("AccessPolicies"):
            raise ValueError("AWS::EKS::AccessEntry AccessPolicies: not imitated here, use KubernetesGroups")

    def create(_logical_id: str, props: Props, _stack: str) -> tuple[str, dict]:
        refuse_policies(props)
        entry = {"principalArn": props["PrincipalArn"], "type": props.get("Type", "STANDARD"), **changeable(props)}
        made = body(eks._create_access_entry(props["ClusterName"], entry))["accessEntry"]
        return f"{props['PrincipalArn']}|{props['ClusterName']}", {"AccessEntryArn": made["accessEntryArn"]}

    def update(physical_id: str, _old: Props, new: Props, _stack: str) -> tuple[str, dict]:
        refuse_policies(new)
        entry = body(eks._update_access_entry(new["ClusterName"], new["PrincipalArn"], changeable(new)))["accessEntry"]
        return physical_id, {"AccessEntryArn": entry["accessEntryArn"]}

    def delete(_physical_id: str, props: Props) -> None:
        eks._delete_access_entry(props["ClusterName"], props["PrincipalArn"])  # a 404 means it is gone already

    provisioners._RESOURCE_HANDLERS["AWS::EKS::AccessEntry"] = {"create": create, "update": update, "delete": delete}
    provisioners._REPLACING_PROPERTIES["AWS::EKS::AccessEntry"] = ("ClusterName", "PrincipalArn", "Type")


def add_query_definition() -> None:
    """MiniStack has no saved Logs Insights queries at all, so there is nowhere to keep one: it is only an id."""

    def create(_logical_id: str, _props: Props, _stack: str) -> tuple[str, dict]:
        query = str(uuid.uuid4())
        return query, {"QueryDefinitionId": query}

    def update(physical_id: str, _old: Props, _new: Props, _stack: str) -> tuple[str, dict]:
        return physical_id, {"QueryDefinitionId": physical_id}

    provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {
        "create": create,
        "update": update,
        "delete": lambda _physical_id, _props: None,
    }


def keep_metric_math() -> None:
    """MiniStack refuses an alarm with Metrics: its record is made with a stand-in metric, and Metrics put back."""
    record = provisioners._cw_metric_alarm_record
    stand_in = {"MetricName": "-", "Namespace": "-"}

    @functools.wraps(record)
    def with_metrics(name: str, props: Props) -> dict:
        if not props.get("Metrics"):
            return record(name, props)
        alarm = record(name, {**props, **stand_in, "Metrics": None})
        for single in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions", "Unit"):
            alarm.pop(single, None)
        return {**alarm, "Metrics": props["Metrics"]}

    provisioners._cw_metric_alarm_record = with_metrics


def keep(resource_type: str, put: Callable[[str, Props], None]) -> None:
    """Runs put with the physical id and the properties each time CloudFormation creates or updates the type."""
    handlers = provisioners._RESOURCE_HANDLERS[resource_type]

    def then(handler: Callable, properties: int) -> Callable:
        @functools.wraps(handler)
        def handle(*args: Any) -> tuple:
            made = handler(*args)
            put(made[0], args[properties])
            return made

        return handle

    handlers["create"] = then(handlers["create"], 1)  # (logical id, properties, stack)
    handlers["update"] = then(handlers["update"], 2)  # (physical id, old properties, new properties, stack, ...)


def keep_reserved_concurrency() -> None:
    """MiniStack drops ReservedConcurrentExecutions of AWS::Lambda::Function, though its API keeps and enforces it."""

    def put(function: str, props: Props) -> None:
        reserved = props.get("ReservedConcurrentExecutions")
        lambda_svc._functions[function]["concurrency"] = None if reserved is None else int(reserved)

    keep("AWS::Lambda::Function", put)


def keep_schedule_timezone() -> None:
    """MiniStack drops ScheduleExpressionTimezone of a schedule. (Its cron still runs in UTC; a rate has no zone.)"""

    def put(name: str, props: Props) -> None:
        schedule = scheduler._schedules[f"{props.get('GroupName', 'default')}/{name}"]
        schedule["ScheduleExpressionTimezone"] = props.get("ScheduleExpressionTimezone", "UTC")

    keep("AWS::Scheduler::Schedule", put)


# --- CloudWatch


def leave_alarms_to_evaluator() -> None:
    """MiniStack evaluates alarms whenever a metric is put, blind to dimensions, missing data and M out of N.

    Without that, an alarm changes by SetAlarmState alone; integration/cloudwatch evaluates and calls it.
    """
    cloudwatch._evaluate_alarm = lambda _alarm: None


def invoke_async(function_arn: str, event: dict) -> None:
    """Invokes as AWS's services do: with the retries, event age and on-failure queue of the EventInvokeConfig."""
    function, config, _name = lambda_svc._get_func_record_for_ref(function_arn)
    if not function or not config:
        log.warning("there is no function %s to invoke", function_arn)
        return
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(function, config), event)


def may_invoke(alarm_arn: str, function_arn: str) -> bool:
    """Whether the function's resource policy lets CloudWatch invoke it for this alarm."""
    function, _config, _name = lambda_svc._get_base_func_record_for_ref(function_arn)
    request = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=responses.get_region(),
        service_context={"aws:sourcearn": alarm_arn, "aws:sourceaccount": responses.get_account_id()},
    )
    policy = function.get("policy") if function else None
    service = "lambda.alarms.cloudwatch.amazonaws.com"
    return iam_evaluator.evaluate_resource_policy(policy, request, service=service).decision == "Allow"


def alarm_time(seconds: float) -> str:
    """A time as alarm payloads write it: 2023-08-04T12:36:15.490+0000."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}+0000"


def alarm_metric(query: dict) -> dict:
    """One of an alarm's Metrics as the payload writes it."""
    out: dict[str, Any] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    if "Expression" in query:
        out["expression"] = query["Expression"]
    if "Label" in query:
        out["label"] = query["Label"]
    if stat := query.get("MetricStat"):
        metric = stat["Metric"]
        out["metricStat"] = {
            "metric": {
                "namespace": metric["Namespace"],
                "name": metric["MetricName"],
                "dimensions": {d["Name"]: d["Value"] for d in metric.get("Dimensions", [])},
            },
            "period": stat["Period"],
            "stat": stat["Stat"],
        }
        if stat.get("Unit"):
            out["metricStat"]["unit"] = stat["Unit"]
    return out


def alarm_event(alarm: dict, old: str, new: str, reason: str, now: float) -> dict:
    """The payload of a Lambda alarm action; `alarms-and-actions-Lambda` in the CloudWatch user guide documents it."""
    metrics = alarm.get("Metrics") or [
        {
            "Id": str(uuid.uuid5(uuid.NAMESPACE_URL, alarm["AlarmArn"])),
            "MetricStat": {
                "Metric": {key: alarm.get(key) or [] for key in ("Namespace", "MetricName", "Dimensions")},
                "Period": alarm.get("Period"),
                "Stat": alarm.get("ExtendedStatistic") or alarm.get("Statistic"),
                "Unit": alarm.get("Unit"),
            },
        }
    ]
    state = {"value": new, "reason": reason, "timestamp": alarm_time(now)}
    if alarm.get("StateReasonData"):
        state["reasonData"] = alarm["StateReasonData"]
    previous = {"value": old}
    # The transition that is being acted on is the last in the history; the one before it holds the previous reason.
    history = [entry for entry in cloudwatch._history_entries() if entry["AlarmName"] == alarm["AlarmName"]]
    if len(history) > 1:
        previous["reason"] = json.loads(history[-2]["HistoryData"])["newState"]["stateReason"]
        previous["timestamp"] = history[-2]["Timestamp"].replace("Z", ".000+0000")
    return {
        "source": "aws.cloudwatch",
        "alarmArn": alarm["AlarmArn"],
        "accountId": responses.get_account_id(),
        "time": alarm_time(now),
        "region": responses.get_region(),
        "alarmData": {
            "alarmName": alarm["AlarmName"],
            "state": state,
            "previousState": previous,
            "configuration": {
                "description": alarm.get("AlarmDescription", ""),
                "metrics": [alarm_metric(query) for query in metrics],
            },
        },
    }


def run_lambda_alarm_actions() -> None:
    """MiniStack runs SNS actions only. A Lambda action is invoked on each change of state, if its policy allows it."""
    dispatch = cloudwatch._dispatch_alarm_actions
    actions = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}

    @functools.wraps(dispatch)
    def with_lambda(alarm: dict, old: str, new: str, reason: str) -> None:
        dispatch(alarm, old, new, reason)
        if not alarm.get("ActionsEnabled", True):
            return
        event = alarm_event(alarm, old, new, reason, time.time())
        for arn in alarm.get(actions[new]) or []:
            if not arn.startswith("arn:aws:lambda:"):
                continue
            if may_invoke(alarm["AlarmArn"], arn):
                invoke_async(arn, event)
            else:
                log.warning("the policy of %s does not let alarm %s invoke it", arn, alarm["AlarmName"])

    cloudwatch._dispatch_alarm_actions = with_lambda


# --- the other services


def invoke_scheduled_async() -> None:
    """MiniStack's schedules invoke past the EventInvokeConfig, so that no failed tick reaches the on-failure queue."""

    def dispatch(function_arn: str, payload: str) -> None:
        invoke_async(function_arn, json.loads(payload))

    eventbridge._dispatch_to_lambda = dispatch


def answer_for_real_cluster() -> None:
    """MiniStack's clusters have no API server without Docker, and a random webhook secret: here both are given."""
    create_cluster = eks._create_cluster

    @functools.wraps(create_cluster)
    def create(request: dict, *args: Any, **kwargs: Any) -> tuple:
        authority = os.environ.get("EKS_CA_FILE")
        pem = Path(authority).read_bytes() if authority else b""
        response = create_cluster(request, *args, **kwargs)
        if response[0] >= 400:
            return response
        cluster = eks._clusters[request["name"]]
        cluster["endpoint"] = os.environ.get("EKS_ENDPOINT", cluster["endpoint"])
        cluster["_auth_token"] = os.environ.get("EKS_AUTH_TOKEN", cluster["_auth_token"])
        cluster["certificateAuthority"] = {"data": base64.b64encode(pem).decode()}
        return eks._describe_cluster(request["name"])

    eks._create_cluster = create


def name_log_streams() -> None:
    """MiniStack holds requests on a log group against policies by NAME; AWS does by NAME:* or NAME:log-stream:STREAM."""
    extract = iam_actions.extract_resource_arn

    @functools.wraps(extract)
    def with_stream(service: str, method: str, path: str, headers: dict, body: bytes, *args: Any) -> str:
        arn = extract(service, method, path, headers, body, *args)
        if service != "logs" or ":log-group:" not in arn or headers.get("x-amz-target", "").endswith("Resource"):
            return arn  # the three actions on tags name it without
        put = headers.get("x-amz-target", "").endswith(".PutLogEvents")
        return f"{arn}:log-stream:{iam_actions._safe_json_field(body, 'logStreamName')}" if put else f"{arn}:*"

    iam_actions.extract_resource_arn = with_stream


def number_log_events() -> None:
    """MiniStack gives the lines that it logs for a function no eventId, on which `aws logs tail --follow` fails."""
    append = cloudwatch_logs._append_log_events

    @functools.wraps(append)
    def with_ids(stream: dict, events: list[dict]) -> None:
        append(stream, [{"eventId": str(uuid.uuid4()), **event} for event in events])

    cloudwatch_logs._append_log_events = with_ids


class Teed:
    """A function's output: each line read from it is written to CloudWatch Logs too."""

    def __init__(self, output: Any, events: dict) -> None:
        self.output, self.events = output, events

    def readline(self) -> bytes:
        line = self.output.readline()
        if line:
            now = int(time.time() * 1000)
            message = line.decode(errors="replace").rstrip("\r\n")
            cloudwatch_logs._append_log_events(self.events, [{"timestamp": now, "message": message, "ingestionTime": now}])
        return line

    def close(self) -> None:
        self.output.close()


def write_function_logs_at_once() -> None:
    """MiniStack writes what a function prints when the invocation ends. Lambda writes each line at once, to a log
    stream of the execution environment; ours has invocations of a minute, and people who wait for its lines."""
    pump, emit = lambda_runtime.ProvidedWorker._pump_output, lambda_svc._emit_lambda_logs

    def pump_at_once(worker: Any, output: Any, lines: Any) -> None:
        group = cloudwatch_logs._log_groups.get(f"/aws/lambda/{worker.config['FunctionName']}")
        if group is not None:  # without its group a function's lines are lost, as on AWS
            stream = f"{time.strftime('%Y/%m/%d')}/[$LATEST]{uuid.uuid4().hex}"
            output = Teed(output, group["streams"].setdefault(stream, new_log_stream()))
        pump(worker, output, lines)

    def emit_the_rest(func: dict, request_id: str, text: str, *args: Any, **kwargs: Any) -> None:
        config = func.get("config") or func
        if not config.get("Runtime", "").startswith("provided"):
            emit(func, request_id, text, *args, **kwargs)
        elif f"/aws/lambda/{config['FunctionName']}" in cloudwatch_logs._log_groups:  # else MiniStack would make it anew
            emit(func, request_id, "", *args, **kwargs)

    lambda_runtime.ProvidedWorker._pump_output = pump_at_once
    lambda_svc._emit_lambda_logs = emit_the_rest


def new_log_stream() -> dict:
    return {
        "events": [],
        "uploadSequenceToken": "1",
        "creationTime": int(time.time() * 1000),
        "firstEventTimestamp": None,
        "lastEventTimestamp": None,
        "lastIngestionTime": None,
    }


def stay_off_port_443() -> None:
    """MiniStack over TLS also opens port 443 for Cognito where it can. Nobody needs it here."""
    app._port_is_bindable = lambda _host, _port: False


def stop_quickly() -> None:
    """MiniStack told to stop waits 30 s for idle TLS clients to say goodbye, and none does. One second is enough."""
    asyncio.constants.SSL_SHUTDOWN_TIMEOUT = 1.0


PATCHES = [
    add_access_entry,
    add_query_definition,
    keep_metric_math,
    keep_reserved_concurrency,
    keep_schedule_timezone,
    leave_alarms_to_evaluator,
    run_lambda_alarm_actions,
    invoke_scheduled_async,
    answer_for_real_cluster,
    name_log_streams,
    number_log_events,
    write_function_logs_at_once,
    stay_off_port_443,
    stop_quickly,
]


def main() -> None:
    require_names()
    if not re.fullmatch(r"([\w-]{16,})?", os.environ.get("EKS_AUTH_TOKEN", ""), re.ASCII):
        sys.exit("EKS_AUTH_TOKEN must be 16 or more of A-Z a-z 0-9 _ -: MiniStack routes no other webhook path")
    for patch in PATCHES:
        patch()
    app.main()


if __name__ == "__main__":
    main()
