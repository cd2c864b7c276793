"""Runs every check on the template, and shows of every check that it can fail.

    python -m unittest discover tests/template
"""

from __future__ import annotations

import copy
import subprocess
import unittest
from collections.abc import Callable
from typing import Any

import yaml

import checks
from checks import ROOT, Template
import template as templates


def resource(template: Template, name: str) -> dict[str, Any]:
    return template["Resources"][name]["Properties"]


def event(template: Template, function: str, name: str) -> dict[str, Any]:
    return resource(template, function)["Events"][name]["Properties"]


def statements(template: Template, role: str) -> list[dict[str, Any]]:
    return resource(template, role)["Policies"][0]["PolicyDocument"]["Statement"]


def grant(role: str, action: str, target: str) -> Callable[[Template], None]:
    def spoil(template: Template) -> None:
        statements(template, role).append(
            {"Effect": "Allow", "Action": action, "Resource": {"Fn::GetAtt": [target, "Arn"]}})
    return spoil


def put(path: str, new: Any) -> Callable[[Template], None]:
    """Replaces, or with `None` removes, what a path of keys leads to."""
    def spoil(template: Template) -> None:
        node: Any = template
        *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        for key in parents:
            node = node[key]
        if new is None:
            del node[last]
        else:
            node[last] = new
    return spoil


def second_route(template: Template) -> None:
    resource(template, "WebhookFunction")["Events"]["Other"] = {
        "Type": "Api", "Properties": {"RestApiId": {"Ref": "Api"}, "Path": "/other", "Method": "get"}}


def authorizer(template: Template) -> None:
    resource(template, "Api")["Auth"] = {
        "DefaultAuthorizer": "Pool", "Authorizers": {"Pool": {"UserPoolArn": "arn:aws:cognito-idp:x:1:userpool/y"}}}


def http_api(template: Template) -> None:
    template["Resources"]["Second"] = {"Type": "AWS::Serverless::HttpApi", "Properties": {}}


def generated_role(template: Template) -> None:
    del event(template, "SweeperFunction", "EveryMinute")["RoleArn"]


def fifth_function(template: Template) -> None:
    template["Resources"]["AdminFunction"] = copy.deepcopy(template["Resources"]["SweeperFunction"])
    del template["Resources"]["AdminFunction"]["Properties"]["Events"]


def another(kind: str, properties: dict[str, Any]) -> Callable[[Template], None]:
    def spoil(template: Template) -> None:
        template["Resources"]["Another"] = {"Type": kind, "Properties": properties}
    return spoil


P = "Resources/{}/Properties/{}".format
GATEWAY = P("Api", "GatewayResponses")
# Check → ways to spoil the template that it must notice.
SPOILT: dict[Callable[[Template], None], dict[str, Callable[[Template], None]]] = {
    checks.check_routes_and_their_authorizers: {
        "renamed": put(P("WebhookFunction", "Events/Delivery/Properties/Path"), "/hooks/{tenant}/{event}"),
        "other method": put(P("WebhookFunction", "Events/Delivery/Properties/Method"), "put"),
        "one more": second_route,
        "authorizer": authorizer,
    },
    checks.check_stage_is_called_live: {"renamed": put(P("Api", "StageName"), "prod")},
    checks.check_api_is_a_rest_api: {"HTTP API": http_api},
    checks.check_gateway_responses: {
        "429 left": put(f"{GATEWAY}/THROTTLED", None),
        "4xx left": put(f"{GATEWAY}/DEFAULT_4XX/StatusCode", 403),
        "no Retry-After": put(f"{GATEWAY}/DEFAULT_5XX/ResponseParameters", None),
        "unquoted Retry-After": put(f"{GATEWAY}/QUOTA_EXCEEDED/ResponseParameters/Headers/Retry-After", "60"),
        "too large for ever": put(f"{GATEWAY}/REQUEST_TOO_LARGE/StatusCode", 503),
    },
    checks.check_throttling: {
        "none": put(P("Api", "MethodSettings"), None),
        "one left out": put(P("Api", "MethodSettings/0"), None),
        "a literal": put(P("Api", "MethodSettings/3/ThrottlingBurstLimit"), 5000),
        "too many": put("Parameters/ApiRequestsPerSecond/Default", 10000),
    },
    checks.check_the_page_on_security_has_the_rights: {
        "an action more": put("Resources/SweeperRole/Properties/Policies/0/PolicyDocument/Statement/2/Action",
                              "dynamodb:Scan"),
        "one worker differs": put(
            "Resources/WorkerInvoicePaidRole/Properties/Policies/0/PolicyDocument/Statement/1/Action", "kms:Decrypt"),
    },
    checks.check_functions_have_folders: {
        "no folder": fifth_function,
        "build method": put("Resources/WebhookFunction/Metadata", None),
        "code of its own": put(P("WebhookFunction", "CodeUri"), "functions/webhook/"),
        "runtime": put("Globals/Function/Runtime", "provided.al2"),
    },
    checks.check_environment: {
        "missing": put("Globals/Function/Environment/Variables/TABLE_TENANTS", None),
        "wrong": put("Globals/Function/Environment/Variables/TABLE_TENANTS", {"Ref": "SyncRunsTable"}),
        "too much": put(P("WebhookFunction", "Environment/Variables/QUEUE_DEAD_LETTER_URL"),
                        {"Ref": "DeadLetterQueue"}),
        "no queue": put(P("WorkerPushSyncStateFunction", "Environment/Variables/QUEUE_DEAD_LETTER_URL"), None),
        "a literal timer": put("Globals/Function/Environment/Variables/STALL_SECONDS", 600),
    },
    checks.check_timers_are_parameters: {
        "default": put("Parameters/StallSeconds/Default", 60),
        "literal timeout": put(P("SweeperFunction", "Timeout"), 60),
        "sweeps too short for a backfill": put("Parameters/SweeperTimeoutSeconds/MinValue", 1),
        "private addresses": put("Parameters/AllowPrivateAddresses/Default", "true"),
    },
    checks.check_visibility_is_six_timeouts: {
        "visibility": put("Parameters/QueueVisibilitySeconds/Default", 359),
        "timeout": put("Parameters/WorkerTimeoutSeconds/Default", 61),
        "literal": put(P("PushSyncStateQueue", "VisibilityTimeout"), 30),
    },
    checks.check_mappings: {
        "window": put(P("WorkerInvoiceCreatedFunction", "Events/Work/Properties/MaximumBatchingWindowInSeconds"), 1),
        "batch": put(P("WorkerInvoiceCreatedFunction", "Events/Work/Properties/BatchSize"), 11),
        "batch parameter": put("Parameters/WorkerBatchSize/MaxValue", 100),
        "whole batches": put(P("WorkerPushSyncStateFunction", "Events/Work/Properties/FunctionResponseTypes"), None),
        "concurrency": put(P("WorkerPushSyncStateFunction", "Events/Work/Properties/ScalingConfig"), None),
        "concurrency of one": put("Parameters/WorkerMaximumConcurrency/Default", 1),
        "other queue": put(P("WorkerPushSyncStateFunction", "Events/Work/Properties/Queue"),
                           {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}),
        "switched off": put(P("WorkerPushSyncStateFunction", "Events/Work/Properties/Enabled"), False),
    },
    checks.check_queues: {
        "not FIFO": put(P("InvoiceCreatedQueue", "FifoQueue"), None),
        "retention": put(P("DeadLetterQueue", "MessageRetentionPeriod"), 345600),
        "scope": put(P("PushSyncStateQueue", "DeduplicationScope"), "queue"),
        "throughput": put(P("PushSyncStateQueue", "FifoThroughputLimit"), "perQueue"),
        "unencrypted": put(P("PushSyncStateQueue", "SqsManagedSseEnabled"), False),
        "no dead letters": put(P("PushSyncStateQueue", "RedrivePolicy"), None),
        "receive count": put(P("InvoiceCreatedQueue", "RedrivePolicy/maxReceiveCount"), 3),
        "name": put(P("InvoiceCreatedQueue", "QueueName"), "x.fifo"),
    },
    checks.check_no_cycle: {
        "itself": grant("WorkerInvoiceCreatedRole", "sqs:SendMessage", "InvoiceCreatedQueue"),
        "by way of another": grant("WorkerPushSyncStateRole", "sqs:SendMessage", "InvoiceCreatedQueue"),
    },
    checks.check_roles_are_explicit: {
        "managed policy": put(P("WebhookRole", "ManagedPolicyArns"), ["arn:aws:iam::aws:policy/ReadOnlyAccess"]),
        "every resource": put(P("WebhookRole", "Policies/0/PolicyDocument/Statement/0/Resource"), "*"),
        "part of every resource": put(P("SweeperRole", "Policies/0/PolicyDocument/Statement/1/Resource"),
                                      {"Fn::Sub": "${SyncRunsTable.Arn}/index/*"}),
        "every action": put(P("WebhookRole", "Policies/0/PolicyDocument/Statement/0/Action"), "dynamodb:*"),
        "made by the transform": generated_role,
        "policy beside": another("AWS::IAM::Policy", {}),
    },
    checks.check_roles_have_the_least: {
        "more": grant("WebhookRole", "dynamodb:DeleteItem", "SyncRunsTable"),
        "elsewhere": grant("WebhookRole", "dynamodb:GetItem", "EntityXrefTable"),
        "less": put(P("WorkerInvoiceCreatedRole", "Policies/0/PolicyDocument/Statement/1"), None),
        "another's role": put(P("WebhookFunction", "Role"), {"Fn::GetAtt": ["SweeperRole", "Arn"]}),
        "policies beside": put(P("WebhookFunction", "Policies"), ["AWSLambdaBasicExecutionRole"]),
    },
    checks.check_roles_are_assumed_by_their_service: {
        "anybody": put(P("WebhookRole", "AssumeRolePolicyDocument/Statement/0/Principal"), {"AWS": "*"}),
    },
    checks.check_no_reserved_concurrency: {
        "reserved": put(P("WorkerInvoiceCreatedFunction", "ReservedConcurrentExecutions"), 5),
    },
    checks.check_sweeper_schedule: {
        "retries": put(P("SweeperFunction", "EventInvokeConfig/MaximumRetryAttempts"), 2),
        "schedule retries": put(P("SweeperFunction", "Events/EveryMinute/Properties/RetryPolicy"),
                                {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60}),
        "rate": put("Parameters/SweeperSchedule/Default", "rate(5 minutes)"),
        "switched off": put("Parameters/SweeperScheduleState/Default", "DISABLED"),
        "name": put(P("SweeperFunction", "Events/EveryMinute/Properties/OmitName"), False),
    },
    checks.check_tables: {
        "no recovery": put(P("EntityXrefTable", "PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled"), False),
        "expiry of what is in the books": put(P("EntityXrefTable", "TimeToLiveSpecification"),
                                              {"AttributeName": "expires_at", "Enabled": True}),
        "no expiry": put(P("TenantsTable", "TimeToLiveSpecification"), None),
        "other key": put(P("SyncRunsTable", "SSESpecification"), {"SSEEnabled": True}),
        "unprotected": put(P("SyncRunsTable", "DeletionProtectionEnabled"), False),
        "unprotected by default": put("Parameters/DeletionProtection/Default", "false"),
        "index": put(P("SyncRunsTable", "GlobalSecondaryIndexes/0"), None),
        "index copies": put(P("SyncRunsTable", "GlobalSecondaryIndexes/0/Projection"), {"ProjectionType": "ALL"}),
        "index key": put(P("SyncRunsTable", "AttributeDefinitions/3/AttributeType"), "S"),
        "provisioned": put(P("SyncRunsTable", "BillingMode"), "PROVISIONED"),
        "name": put(P("SyncRunsTable", "TableName"), "sync_runs"),
    },
    checks.check_what_is_kept: {
        **{name: put(f"Resources/{name}/DeletionPolicy", "Delete") for name in checks.KEPT},
        "replaced": put("Resources/Key/UpdateReplacePolicy", None),
    },
    checks.check_key: {
        "rotation": put(P("Key", "EnableKeyRotation"), False),
        "anybody's table": put(P("Key", "KeyPolicy/Statement/1/Condition"), None),
        "silent alarms": put(P("Key", "KeyPolicy/Statement/2"), None),
    },
    checks.check_alarms: {
        "missing": put("Resources/StalledRunsAlarm", None),
        "namespace": put(P("HeldRunsAlarm", "Namespace"), "ledger"),
        "dimension": put(P("HeldRunsAlarm", "Dimensions/0/Name"), "StackName"),
        "owner": put(P("DeadLettersMerchantAlarm", "Dimensions/1/Value"), "shop"),
        "statistic": put(P("OldestDueAgeAlarm", "Statistic"), "Average"),
        "threshold": put(P("OldestDueAgeAlarm", "Threshold"), 900),
        "default": put("Parameters/OldestDueAgeThresholdSeconds/Default", 9000),
        "silence is well": put(P("SweeperHeartbeatAlarm", "TreatMissingData"), "notBreaching"),
        "tells nobody": put(P("SweeperHeartbeatAlarm", "AlarmActions"), []),
        "other function": put(P("SweeperErrorsAlarm", "Dimensions/0/Value"), {"Ref": "WebhookFunction"}),
    },
    checks.check_alarm_topic: {
        "unencrypted": put(P("AlarmTopic", "KmsMasterKeyId"), None),
        "always subscribed": put("Resources/AlarmSubscription/Condition", None),
    },
    checks.check_sign_in: {
        "anybody signs up": put(P("UserPool", "AdminCreateUserConfig/AllowAdminCreateUserOnly"), False),
        "short passwords": put(P("UserPool", "Policies/PasswordPolicy/MinimumLength"), 8),
        "no second factor": put(P("UserPool", "MfaConfiguration"), "OFF"),
        "tokens in addresses": put(P("UserPoolClient", "AllowedOAuthFlows"), ["implicit"]),
        "another callback": put(P("UserPoolClient", "CallbackURLs/0"), "http://localhost:9000/callback"),
        "passwords without a page": put(P("UserPoolClient", "ExplicitAuthFlows/0"), "ALLOW_USER_PASSWORD_AUTH"),
        "long tokens": put(P("UserPoolClient", "TokenValidityUnits/AccessToken"), "days"),
        "one more group": another("AWS::Cognito::UserPoolGroup", {"GroupName": "root"}),
        "a pool beside another issuer": put("Resources/UserPool/Condition", None),
    },
    checks.check_log_groups: {
        "kept for ever": put(P("SweeperLogGroup", "RetentionInDays"), None),
        "another's": put(P("WebhookFunction", "LoggingConfig/LogGroup"), {"Ref": "SweeperLogGroup"}),
    },
    checks.check_outputs: {"missing": put("Outputs/ApiUrl", None)},
}


class TemplateTest(unittest.TestCase):
    """The template as it stands."""

    def test_keeps_every_promise(self) -> None:
        template = templates.load()
        for check in checks.CHECKS:
            with self.subTest(check.__name__):
                check(template)

    def test_every_check_notices_what_it_is_for(self) -> None:
        template = templates.load()
        self.assertEqual(set(SPOILT), set(checks.CHECKS), "a check without a way to fail")
        for check, ways in SPOILT.items():
            for name, spoil in ways.items():
                with self.subTest(f"{check.__name__}: {name}"):
                    spoilt = copy.deepcopy(template)
                    spoil(spoilt)
                    with self.assertRaises(AssertionError):
                        check(spoilt)

    def test_has_no_aliases(self) -> None:
        """CloudFormation refuses what YAML calls aliases."""
        tokens = yaml.scan(templates.TEMPLATE.read_text(encoding="utf-8"))
        self.assertFalse([token for token in tokens if isinstance(token, (yaml.AliasToken, yaml.AnchorToken))])

    def test_makefile_builds_every_function(self) -> None:
        for name in templates.functions(templates.load()):
            with self.subTest(name):
                command = ["make", "--dry-run", "--makefile", str(ROOT / "infra/build/Makefile"), f"build-{name}"]
                shown = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True,
                                       env={"PATH": "/usr/bin:/bin", "ARTIFACTS_DIR": "/artifacts"})
                self.assertIn(f'package.py" "{name}" "/artifacts"', shown.stdout)


if __name__ == "__main__":
    unittest.main()
