"""Drives MiniStack, as launcher.py starts it, through AWS's own Python SDK over TLS with IAM enforced.

Run it with the Python that MiniStack is installed for: python -m unittest discover integration/ministack
"""

import ast
import base64
import datetime
import io
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import botocore.session
from botocore.exceptions import ClientError
from botocore.signers import RequestSigner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LAUNCHER = Path(__file__).with_name("launcher.py")
REGION, ACCOUNT = "us-east-1", "000000000000"
EKS_ENDPOINT, EKS_AUTH_TOKEN = "https://127.0.0.1:7443", "not-a-secret-but-long"


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), **more}


class Stack:
    """A running MiniStack and clients for it."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="leda-ministack-")
        folder = Path(self.folder.name)
        self.certificate = folder / "cert.pem"
        self.log = folder / "log"
        key = folder / "key.pem"
        write_certificate(self.certificate, key)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"https://127.0.0.1:{port}"
        env = environment(
            folder,
            GATEWAY_PORT=str(port),
            MINISTACK_HOST="127.0.0.1",
            USE_SSL="1",
            MINISTACK_SSL_CERT=str(self.certificate),
            MINISTACK_SSL_KEY=str(key),
            STATE_DIR=str(folder),
            EKS_ENDPOINT=EKS_ENDPOINT,
            EKS_CA_FILE=str(self.certificate),
            EKS_AUTH_TOKEN=EKS_AUTH_TOKEN,
        )
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([sys.executable, LAUNCHER], env=env, stdout=log, stderr=log)
        self.trust = ssl.create_default_context(cafile=str(self.certificate))
        until(self.healthy, f"MiniStack answers at {self.url}", log=self.log)

    def healthy(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"MiniStack ended with {self.process.returncode}:\n{self.log.read_text()}")
        try:
            return self.open("/_ministack/health").status == 200
        except urllib.error.URLError:
            return False

    def open(self, path: str, data: bytes | None = None):
        return urllib.request.urlopen(self.url + path, data, timeout=10, context=self.trust)

    def client(self, service: str, key: str = "test", secret: str = "test"):
        return botocore.session.get_session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            verify=str(self.certificate),
        )

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        finally:
            self.process.kill()
            self.process.wait()
            self.folder.cleanup()


def write_certificate(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "leda test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def until(happens, what: str, seconds: float = 30, log: Path | None = None):
    """Waits for a call to return something true, and returns that."""
    deadline = time.monotonic() + seconds
    while not (seen := happens()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}" + (f"\n{log.read_text()}" if log else ""))
        time.sleep(0.05)
    return seen


def setUpModule() -> None:
    global stack
    stack = Stack()


def tearDownModule() -> None:
    stack.stop()


FUNCTION = """
import json
def handler(event, context):
    print("EVENT " + json.dumps(event))
    if event.get("fail"):
        raise RuntimeError("asked to fail")
"""


# A custom runtime whose invocation lasts until a file is there.
BOOTSTRAP = """#!/usr/bin/env python3
import json, os, time, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next") as answer:
        request, event = answer.headers["Lambda-Runtime-Aws-Request-Id"], json.load(answer)
    print("working", flush=True)
    while not os.path.exists(event["until"]):
        time.sleep(0.05)
    urllib.request.urlopen(api + request + "/response", b"{}").read()
"""


def zipped(name: str, text: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        file = zipfile.ZipInfo(name)
        file.external_attr = 0o755 << 16
        files.writestr(file, text)
    return archive.getvalue()


def function(**more) -> dict:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": "watched",
            "Runtime": "python3.12",
            "Handler": "index.handler",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"ZipFile": FUNCTION},
            **more,
        },
    }


def role(service: str) -> dict:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}},
    }


def permission(alarm: str) -> dict:
    return {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "Action": "lambda:InvokeFunction",
            "FunctionName": {"Fn::GetAtt": ["Function", "Arn"]},
            "Principal": "lambda.alarms.cloudwatch.amazonaws.com",
            "SourceAccount": ACCOUNT,
            "SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{alarm}",
        },
    }


def alarm(name: str, **more) -> dict:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": name,
            "AlarmDescription": "orders wait",
            "Namespace": "AWS/SQS",
            "MetricName": "ApproximateNumberOfMessagesVisible",
            "Dimensions": [{"Name": "QueueName", "Value": "orders"}],
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 0,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            **more,
        },
    }


class LauncherTest(unittest.TestCase):
    """One stack a test, deleted after it."""

    def setUp(self) -> None:
        self.cloudformation = stack.client("cloudformation")

    def deploy(self, resources: dict, **outputs) -> dict[str, str]:
        """Creates or updates the test's stack; returns its physical ids and outputs."""
        template = {"Resources": resources, "Outputs": {name: {"Value": value} for name, value in outputs.items()}}
        name = self.id().rsplit(".", 1)[1].replace("_", "-")
        args = {"StackName": name, "TemplateBody": json.dumps(template), "Capabilities": ["CAPABILITY_IAM"]}
        try:
            self.cloudformation.describe_stacks(StackName=name)
            self.cloudformation.update_stack(**args)
        except ClientError as absent:
            self.assertIn("does not exist", str(absent))
            self.cloudformation.create_stack(**args)
            self.addCleanup(self.destroy, name)
        deployed = self.settled(name)
        self.assertIn(deployed["StackStatus"], ["CREATE_COMPLETE", "UPDATE_COMPLETE"], self.failures(name))
        described = self.cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in described} | {
            o["OutputKey"]: o["OutputValue"] for o in deployed.get("Outputs", [])
        }

    def settled(self, name: str) -> dict:
        def done() -> dict | None:
            described = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            return None if described["StackStatus"].endswith("_IN_PROGRESS") else described

        return until(done, f"stack {name} settles")

    def failures(self, name: str) -> str:
        events = self.cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        return "; ".join(e.get("ResourceStatusReason", "") for e in events if "FAILED" in e["ResourceStatus"])

    def destroy(self, name: str | None = None) -> None:
        name = name or self.id().rsplit(".", 1)[1].replace("_", "-")
        self.cloudformation.delete_stack(StackName=name)
        until(lambda: self.gone(name), f"stack {name} is deleted")

    def gone(self, name: str) -> bool:
        try:
            status = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        except ClientError as absent:
            return "does not exist" in str(absent)
        self.assertNotEqual(status, "DELETE_FAILED", self.failures(name))
        return False

    def refused(self, code: str, call, **args) -> None:
        with self.assertRaises(ClientError) as refusal:
            call(**args)
        self.assertEqual(refusal.exception.response["Error"]["Code"], code)

    def events(self, count: int) -> list[dict]:
        """What the function was invoked with, once that were at least count times."""
        logs = stack.client("logs")
        self.addCleanup(self.forget_events)

        def seen() -> list[dict] | None:
            try:
                lines = logs.filter_log_events(logGroupName="/aws/lambda/watched")["events"]
            except ClientError:
                return None
            found = [json.loads(e["message"].split("EVENT ", 1)[1]) for e in lines if "EVENT " in e["message"]]
            return found if len(found) >= count else None

        return until(seen, f"{count} events at the function", log=stack.log)

    def forget_events(self) -> None:
        try:
            stack.client("logs").delete_log_group(logGroupName="/aws/lambda/watched")
        except ClientError:
            pass

    def user(self, name: str, *statements: dict) -> tuple[str, str, str]:
        """An IAM user's ARN, access key and secret."""
        iam = stack.client("iam")
        arn = iam.create_user(UserName=name)["User"]["Arn"]
        key = iam.create_access_key(UserName=name)["AccessKey"]
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=json.dumps(policy))
        return arn, key["AccessKeyId"], key["SecretAccessKey"]

    def cluster(self, name: str) -> None:
        eks, iam = stack.client("eks"), stack.client("iam")
        trust = role("eks.amazonaws.com")["Properties"]["AssumeRolePolicyDocument"]
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        access = {"authenticationMode": "API"}
        self.created = eks.create_cluster(name=name, roleArn=arn, resourcesVpcConfig={}, accessConfig=access)["cluster"]
        self.addCleanup(eks.delete_cluster, name=name)


class CloudFormation(LauncherTest):
    def test_access_entry(self) -> None:
        eks = stack.client("eks")
        self.cluster("entries")

        def entry(principal: str, groups: list[str], **more) -> dict:
            props = {"ClusterName": "entries", "PrincipalArn": principal, "KubernetesGroups": groups, **more}
            return {"Entry": {"Type": "AWS::EKS::AccessEntry", "Properties": props}}

        def described(principal: str) -> dict:
            return eks.describe_access_entry(clusterName="entries", principalArn=principal)["accessEntry"]

        one, two = f"arn:aws:iam::{ACCOUNT}:role/one", f"arn:aws:iam::{ACCOUNT}:role/two"
        arn = {"Fn::GetAtt": ["Entry", "AccessEntryArn"]}
        made = self.deploy(entry(one, ["leda"]), Arn=arn)
        self.assertEqual(made["Entry"], f"{one}|entries")
        self.assertEqual(described(one)["kubernetesGroups"], ["leda"])
        self.assertEqual(described(one)["accessEntryArn"], made["Arn"])

        changed = self.deploy(entry(one, ["leda", "more"]), Arn=arn)
        self.assertEqual(described(one)["kubernetesGroups"], ["leda", "more"])
        self.assertEqual(changed, made, "groups change in place")

        self.deploy(entry(two, ["leda"]), Arn=arn)
        self.assertEqual(described(two)["kubernetesGroups"], ["leda"])
        self.refused("ResourceNotFoundException", described, principal=one)

        self.destroy()
        self.refused("ResourceNotFoundException", described, principal=two)

        with self.assertRaisesRegex(AssertionError, "use KubernetesGroups"):
            self.deploy(entry(one, [], AccessPolicies=[{"PolicyArn": "arn:aws:eks::aws:cluster-access-policy/A"}]))

    def test_query_definition(self) -> None:
        def query(text: str) -> dict:
            return {"Query": {"Type": "AWS::Logs::QueryDefinition", "Properties": {"Name": "why", "QueryString": text}}}

        made = self.deploy(query("fields @message"), Id={"Fn::GetAtt": ["Query", "QueryDefinitionId"]})
        self.assertEqual(made["Query"], made["Id"])
        changed = self.deploy(query("fields @timestamp"), Id={"Fn::GetAtt": ["Query", "QueryDefinitionId"]})
        self.assertEqual(changed, made)

    def test_metric_math_alarm(self) -> None:
        cloudwatch = stack.client("cloudwatch")

        def depth(threshold: int) -> dict:
            def term(name: str, metric: str) -> dict:
                dimensions = [{"Name": "QueueName", "Value": "orders"}]
                measured = {"Namespace": "AWS/SQS", "MetricName": metric, "Dimensions": dimensions}
                return {
                    "Id": name,
                    "MetricStat": {"Metric": measured, "Period": 60, "Stat": "Maximum"},
                    "ReturnData": False,
                }

            terms = [
                term("visible", "ApproximateNumberOfMessagesVisible"),
                term("taken", "ApproximateNumberOfMessagesNotVisible"),
            ]
            total = {"Id": "depth", "Expression": "visible+taken", "ReturnData": True}
            return {
                "Alarm": {
                    "Type": "AWS::CloudWatch::Alarm",
                    "Properties": {
                        "AlarmName": "math",
                        "Metrics": [total, *terms],
                        "EvaluationPeriods": 1,
                        "Threshold": threshold,
                        "ComparisonOperator": "GreaterThanThreshold",
                    },
                }
            }

        template = depth(0)
        self.deploy(template)
        got = cloudwatch.describe_alarms(AlarmNames=["math"])["MetricAlarms"][0]
        self.assertEqual(got["Metrics"], template["Alarm"]["Properties"]["Metrics"])
        self.assertNotIn("MetricName", got)

        cloudwatch.set_alarm_state(AlarmName="math", StateValue="ALARM", StateReason="test")
        self.deploy(depth(5))
        got = cloudwatch.describe_alarms(AlarmNames=["math"])["MetricAlarms"][0]
        self.assertEqual((got["Threshold"], got["StateValue"]), (5, "ALARM"), "an update leaves the state alone")

        self.destroy()
        self.assertEqual(cloudwatch.describe_alarms(AlarmNames=["math"])["MetricAlarms"], [])

    def test_reserved_concurrency(self) -> None:
        def reserved(**props) -> int | None:
            self.deploy({"Role": role("lambda.amazonaws.com"), "Function": function(**props)})
            answer = stack.client("lambda").get_function_concurrency(FunctionName="watched")
            return answer.get("ReservedConcurrentExecutions")

        self.assertEqual(reserved(ReservedConcurrentExecutions=1), 1)
        self.assertEqual(reserved(ReservedConcurrentExecutions=2), 2)
        self.assertIsNone(reserved())

    def test_schedule(self) -> None:
        scheduler = stack.client("scheduler")

        def schedule(attempts: int, **more) -> dict:
            target = {
                "Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:absent",
                "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any",
                "Input": '{"tick":{"shard":0}}',
                "RetryPolicy": {"MaximumRetryAttempts": attempts, "MaximumEventAgeInSeconds": 60},
            }
            self.deploy(
                {
                    "Schedule": {
                        "Type": "AWS::Scheduler::Schedule",
                        "Properties": {
                            "Name": "tick",
                            "ScheduleExpression": "rate(1 minute)",
                            "FlexibleTimeWindow": {"Mode": "OFF"},
                            "Target": target,
                            **more,
                        },
                    }
                }
            )
            got = scheduler.get_schedule(Name="tick")
            self.assertEqual(got["Target"], target)
            return got

        self.assertEqual(
            schedule(0, ScheduleExpressionTimezone="Europe/Stockholm")["ScheduleExpressionTimezone"], "Europe/Stockholm"
        )
        self.assertEqual(
            schedule(1, ScheduleExpressionTimezone="Asia/Tokyo")["ScheduleExpressionTimezone"], "Asia/Tokyo"
        )
        self.assertEqual(schedule(1)["ScheduleExpressionTimezone"], "UTC")
        self.destroy()
        self.refused("ResourceNotFoundException", scheduler.get_schedule, Name="tick")

    def test_event_invoke_config(self) -> None:
        """MiniStack has this one; Leda rests on it."""
        functions = stack.client("lambda")

        def config(attempts: int) -> dict:
            self.deploy(
                {
                    "Role": role("lambda.amazonaws.com"),
                    "Function": function(),
                    "Failed": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "failed"}},
                    "Config": {
                        "Type": "AWS::Lambda::EventInvokeConfig",
                        "Properties": {
                            "FunctionName": {"Ref": "Function"},
                            "Qualifier": "$LATEST",
                            "MaximumRetryAttempts": attempts,
                            "MaximumEventAgeInSeconds": 60,
                            "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["Failed", "Arn"]}}},
                        },
                    },
                }
            )
            return functions.get_function_event_invoke_config(FunctionName="watched", Qualifier="$LATEST")

        got = config(0)
        self.assertEqual((got["MaximumRetryAttempts"], got["MaximumEventAgeInSeconds"]), (0, 60))
        self.assertEqual(got["DestinationConfig"]["OnFailure"]["Destination"], f"arn:aws:sqs:{REGION}:{ACCOUNT}:failed")
        self.assertEqual(config(1)["MaximumRetryAttempts"], 1)


class Alarms(LauncherTest):
    def test_metric_data_alone_changes_no_alarm(self) -> None:
        cloudwatch = stack.client("cloudwatch")
        self.deploy({"Alarm": alarm("asleep")})
        dimensions = [{"Name": "QueueName", "Value": "orders"}]
        datum = {"MetricName": "ApproximateNumberOfMessagesVisible", "Dimensions": dimensions, "Value": 7}
        cloudwatch.put_metric_data(Namespace="AWS/SQS", MetricData=[datum])
        got = cloudwatch.describe_alarms(AlarmNames=["asleep"])["MetricAlarms"][0]
        self.assertEqual(got["StateValue"], "INSUFFICIENT_DATA")

    def test_lambda_action(self) -> None:
        cloudwatch = stack.client("cloudwatch")
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:watched"
        self.deploy(
            {
                "Role": role("lambda.amazonaws.com"),
                "Function": function(),
                "Permission": permission("Leda/*"),
                "Permitted": alarm("Leda/demo/shop/orders/s0", AlarmActions=[arn], OKActions=[arn]),
                "Stranger": alarm("Other/demo/shop/orders/s0", AlarmActions=[arn]),
                "Disabled": alarm("Leda/demo/shop/disabled/s0", AlarmActions=[arn], ActionsEnabled=False),
                "Quiet": alarm("Leda/demo/shop/quiet/s0", OKActions=[arn]),
            }
        )

        def change(name: str, state: str, reason: str) -> None:
            cloudwatch.set_alarm_state(
                AlarmName=name, StateValue=state, StateReason=reason, StateReasonData='{"version":"1.0"}'
            )

        # None of these four may arrive: no permission, disabled, no action for this state, no change of state.
        change("Other/demo/shop/orders/s0", "ALARM", "stranger")
        change("Leda/demo/shop/disabled/s0", "ALARM", "disabled")
        change("Leda/demo/shop/quiet/s0", "ALARM", "quiet")
        change("Leda/demo/shop/orders/s0", "ALARM", "6 wait")
        self.events(1)
        change("Leda/demo/shop/orders/s0", "ALARM", "7 wait")
        change("Leda/demo/shop/orders/s0", "OK", "none waits")
        first, second = self.events(2)

        times = [first.pop("time"), first["alarmData"]["state"].pop("timestamp")]
        times += [first["alarmData"]["previousState"].pop("timestamp")]
        for at in times:
            self.assertRegex(at, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$")
        metric = first["alarmData"]["configuration"]["metrics"][0]
        self.assertRegex(metric.pop("id"), r"^[0-9a-f-]{36}$")
        self.assertEqual(
            first,
            {
                "source": "aws.cloudwatch",
                "alarmArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:Leda/demo/shop/orders/s0",
                "accountId": ACCOUNT,
                "region": REGION,
                "alarmData": {
                    "alarmName": "Leda/demo/shop/orders/s0",
                    "state": {"value": "ALARM", "reason": "6 wait", "reasonData": '{"version":"1.0"}'},
                    "previousState": {
                        "value": "INSUFFICIENT_DATA",
                        "reason": "Unchecked: Initial alarm creation",
                    },
                    "configuration": {
                        "description": "orders wait",
                        "metrics": [
                            {
                                "metricStat": {
                                    "metric": {
                                        "namespace": "AWS/SQS",
                                        "name": "ApproximateNumberOfMessagesVisible",
                                        "dimensions": {"QueueName": "orders"},
                                    },
                                    "period": 60,
                                    "stat": "Maximum",
                                },
                                "returnData": True,
                            }
                        ],
                    },
                },
            },
        )
        data = second["alarmData"]
        self.assertEqual((data["state"]["value"], data["state"]["reason"]), ("OK", "none waits"))
        self.assertEqual((data["previousState"]["value"], data["previousState"]["reason"]), ("ALARM", "6 wait"))
        self.assertIn("does not let alarm Other/demo/shop/orders/s0", stack.log.read_text())


class OtherServices(LauncherTest):
    def test_failed_tick_reaches_on_failure_queue_once(self) -> None:
        past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
        self.deploy(
            {
                "Role": role("lambda.amazonaws.com"),
                "Function": function(),
                "Failed": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "failed"}},
                "Config": {
                    "Type": "AWS::Lambda::EventInvokeConfig",
                    "Properties": {
                        "FunctionName": {"Ref": "Function"},
                        "Qualifier": "$LATEST",
                        "MaximumRetryAttempts": 0,
                        "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["Failed", "Arn"]}}},
                    },
                },
                "Once": {
                    "Type": "AWS::Scheduler::Schedule",
                    "Properties": {
                        "ScheduleExpression": past.strftime("at(%Y-%m-%dT%H:%M:%S)"),
                        "FlexibleTimeWindow": {"Mode": "OFF"},
                        "Target": {
                            "Arn": {"Fn::GetAtt": ["Function", "Arn"]},
                            "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                            "Input": '{"fail":true}',
                        },
                    },
                },
            }
        )
        messages = stack.client("sqs").receive_message(QueueUrl="failed", WaitTimeSeconds=20)["Messages"]
        self.assertEqual(json.loads(messages[0]["Body"])["requestPayload"], {"fail": True})
        self.assertEqual(self.events(1), [{"fail": True}], "no retries were asked for")

    def test_cluster_is_created_with_the_given_api_server(self) -> None:
        self.cluster("real")
        self.assertEqual(self.created["endpoint"], EKS_ENDPOINT)
        self.assertEqual(base64.b64decode(self.created["certificateAuthority"]["data"]), stack.certificate.read_bytes())

        arn, key, secret = self.user("pod")
        groups = ["leda"]
        stack.client("eks").create_access_entry(clusterName="real", principalArn=arn, kubernetesGroups=groups)

        def review(webhook_secret: str, token: str) -> dict:
            path = f"/_ministack/eks-auth/{ACCOUNT}/{REGION}/real/{webhook_secret}"
            asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
            return json.load(stack.open(path, json.dumps(asked).encode()))["status"]

        # Nobody has described the cluster so far: the webhook must know its secret from the creation on.
        good = review(EKS_AUTH_TOKEN, token_for("real", key, secret))
        self.assertTrue(good["authenticated"], good)
        self.assertIn("leda", good["user"]["groups"])
        self.assertFalse(review("another-secret-as-long", token_for("real", key, secret))["authenticated"])
        self.assertFalse(review(EKS_AUTH_TOKEN, token_for("real", key, "wrong"))["authenticated"])
        self.assertFalse(review(EKS_AUTH_TOKEN, token_for("other", key, secret))["authenticated"])

    def test_log_events_have_ids(self) -> None:
        """Those that MiniStack writes for a function; those that are put have them anyway."""
        self.deploy({"Role": role("lambda.amazonaws.com"), "Function": function()})
        for _ in range(2):
            stack.client("lambda").invoke(FunctionName="watched", Payload=b"{}")
        self.events(2)
        events = stack.client("logs").filter_log_events(logGroupName="/aws/lambda/watched")["events"]
        self.assertEqual(len({event["eventId"] for event in events}), len(events))

    def test_function_logs_are_there_before_the_invocation_ends(self) -> None:
        done, logs, group = Path(stack.folder.name, "done"), stack.client("logs"), "/aws/lambda/slow"
        logs.create_log_group(logGroupName=group)
        deployed = self.deploy({"Role": role("lambda.amazonaws.com")}, RoleArn={"Fn::GetAtt": ["Role", "Arn"]})
        functions = stack.client("lambda")
        functions.create_function(
            FunctionName="slow",
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role=deployed["RoleArn"],
            Timeout=120,
            Code={"ZipFile": zipped("bootstrap", BOOTSTRAP)},
        )
        self.addCleanup(functions.delete_function, FunctionName="slow")
        self.addCleanup(done.touch)

        def messages() -> list[str]:
            return [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]

        functions.invoke(FunctionName="slow", InvocationType="Event", Payload=json.dumps({"until": str(done)}).encode())
        until(lambda: "working" in messages(), "its line is in the log while it works")
        done.touch()
        until(lambda: any(m.startswith("REPORT ") for m in messages()), "the invocation's end is in the log")
        self.assertEqual(messages().count("working"), 1)

    def test_rights_on_the_streams_of_a_log_group(self) -> None:
        logs = stack.client("logs")
        for group in ("mine", "theirs"):
            logs.create_log_group(logGroupName=group)
            self.addCleanup(logs.delete_log_group, logGroupName=group)
        actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
        streams = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:mine:*"
        _arn, key, secret = self.user("writer", {"Effect": "Allow", "Action": actions, "Resource": streams})
        writer = stack.client("logs", key, secret)
        line = {"timestamp": int(time.time() * 1000), "message": "written"}
        writer.create_log_stream(logGroupName="mine", logStreamName="one")
        writer.put_log_events(logGroupName="mine", logStreamName="one", logEvents=[line])
        self.refused("AccessDeniedException", writer.create_log_stream, logGroupName="theirs", logStreamName="one")
        self.refused("AccessDeniedException", writer.describe_log_streams, logGroupName="mine")
        _arn, key, secret = self.user("misled", {"Effect": "Allow", "Action": actions, "Resource": streams.removesuffix(":*")})
        misled = stack.client("logs", key, secret)
        self.refused("AccessDeniedException", misled.create_log_stream, logGroupName="mine", logStreamName="two")

    def test_queue_by_bare_name_with_rights_on_it_only(self) -> None:
        """MiniStack has this one; Leda rests on it."""
        queues = stack.client("sqs")
        for name in ("mine", "theirs"):
            self.addCleanup(queues.delete_queue, QueueUrl=queues.create_queue(QueueName=name)["QueueUrl"])
        mine = f"arn:aws:sqs:{REGION}:{ACCOUNT}:mine"
        may = {"Effect": "Allow", "Action": "sqs:GetQueueAttributes", "Resource": mine}
        _arn, key, secret = self.user("reader", may)
        read = stack.client("sqs", key, secret).get_queue_attributes
        self.assertIn("QueueArn", read(QueueUrl="mine", AttributeNames=["All"])["Attributes"])
        self.refused("AccessDenied", read, QueueUrl="theirs", AttributeNames=["All"])


def token_for(cluster: str, key: str, secret: str) -> str:
    """An EKS token: a presigned GetCallerIdentity for AWS's own host, whatever endpoint is in use."""
    session = botocore.session.get_session()
    session.set_credentials(key, secret)
    credentials, events = session.get_credentials(), session.get_component("event_emitter")
    service = session.get_service_model("sts").service_id
    signer = RequestSigner(service, REGION, "sts", "v4", credentials, events)
    request = {
        "method": "GET",
        "url": f"https://sts.{REGION}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster},
        "context": {},
    }
    url = signer.generate_presigned_url(request, operation_name="GetCallerIdentity", expires_in=60)
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


class Stop(unittest.TestCase):
    def test_told_to_stop_it_does_not_wait_for_idle_clients(self) -> None:
        own = Stack()
        self.addCleanup(own.stop)
        idle = own.client("sqs")
        idle.list_queues()
        own.process.terminate()
        own.process.wait(timeout=10)


class Start(unittest.TestCase):
    """What the launcher does before MiniStack runs."""

    def launch(self, *command: str | Path, **env: str) -> subprocess.CompletedProcess:
        with tempfile.TemporaryDirectory(prefix="leda-ministack-") as folder:
            return subprocess.run(
                [sys.executable, *command],
                env=environment(Path(folder), **env),
                capture_output=True,
                text=True,
                timeout=60,
            )

    def test_another_version_is_refused(self) -> None:
        with tempfile.TemporaryDirectory(prefix="leda-ministack-") as folder:
            info = Path(folder, "ministack-1.5.34.dist-info")
            info.mkdir()
            info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: ministack\nVersion: 1.5.34\n")
            ended = self.launch(LAUNCHER, PYTHONPATH=folder)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("launcher.py mends MiniStack 1.5.33 and found 1.5.34: install it with", ended.stderr)

    def test_a_missing_name_is_refused(self) -> None:
        without = (
            "import runpy, ministack.services.scheduler as s; del s._schedules;"
            f"runpy.run_path({str(LAUNCHER)!r}, run_name='__main__')"
        )
        ended = self.launch("-c", without)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("does not have: ministack.services.scheduler._schedules", ended.stderr)

    def test_a_webhook_secret_that_is_not_routed_is_refused(self) -> None:
        ended = self.launch(LAUNCHER, EKS_AUTH_TOKEN="short")
        self.assertEqual(ended.returncode, 1)
        self.assertIn("EKS_AUTH_TOKEN must be 16 or more", ended.stderr)

    def test_port_443_is_left_alone(self) -> None:
        """Asked of MiniStack's own test of a port, since only root could open 443."""
        asked = (
            "import sys; sys.path.insert(0, sys.argv[1]); import launcher;"
            "before = launcher.app._port_is_bindable('127.0.0.1', 0);"
            "[patch() for patch in launcher.PATCHES];"
            "print(before, launcher.app._port_is_bindable('127.0.0.1', 0))"
        )
        ended = self.launch("-B", "-c", asked, LAUNCHER.parent)
        self.assertEqual(ended.stdout.split()[-2:], ["True", "False"], ended.stderr)

    def test_the_names_checked_are_those_used(self) -> None:
        tree = ast.parse(LAUNCHER.read_text())
        table = next(n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "NAMES")
        checked = {(m.id, name.value) for m, names in zip(table.keys, table.values) for name in names.elts}
        modules = {m.id for m in table.keys}
        used = {
            (node.value.id, node.attr)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules
        }
        self.assertEqual(checked, used)


if __name__ == "__main__":
    unittest.main()
