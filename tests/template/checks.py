"""What `template.yaml` promises, as data, and the checks that hold it to that.

Every check takes the template as a dictionary and raises AssertionError; `test_template.py` runs them on the real
template and on spoilt copies of it.
"""

from __future__ import annotations

import copy
import logging
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))
# The SAM transform asks for a region, whichever.
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
logging.getLogger("samtranslator").setLevel(logging.CRITICAL)

import template as templates  # noqa: E402

Template = dict[str, Any]

# ---------------------------------------------------------------- what is promised

# Route → function and authorizer. The webhook verifies the shop's token itself.
ROUTES = {
    ("post", "/webhooks/magento/{tenant}/{event}"): ("WebhookFunction", None),
    # The function checks operators' tokens and the module's itself.
    **{(method, path): ("ApiFunction", None) for path, methods in {
        "/v1/{proxy+}": ("get", "post", "put", "delete"), "/api/admin/{proxy+}": ("get", "post"),
        "/oauth/{proxy+}": ("get", "post"), "/embed/{tenant}": ("get",), "/openapi.json": ("get",),
    }.items() for method in methods},
}

# What the gateway answers by itself → status and whether it says when to come back. The shop's module gives up at the
# first 4xx, so only what can never pass keeps one.
GATEWAY_RESPONSES = {
    "THROTTLED": (503, True),
    "QUOTA_EXCEEDED": (503, True),
    "INTEGRATION_FAILURE": (503, True),
    "INTEGRATION_TIMEOUT": (503, True),
    "API_CONFIGURATION_ERROR": (503, True),
    "DEFAULT_5XX": (503, True),
    "DEFAULT_4XX": (503, True),
    "REQUEST_TOO_LARGE": (413, False),
}

# How often a route of the function of operators may be asked: rate and burst. Deliveries have the account's limits only.
THROTTLED = {"ThrottlingRateLimit": ("ApiRequestsPerSecond", 50), "ThrottlingBurstLimit": ("ApiRequestsAtOnce", 100)}

# Environment variable → template parameter and its default.
TIMERS = {
    "CLOCK_SKEW_SECONDS": ("ClockSkewSeconds", 300),
    "RETRY_SCALE_PERCENT": ("RetryScalePercent", 100),
    "SETTLE_SCALE_PERCENT": ("SettleScalePercent", 100),
    "STALL_SECONDS": ("StallSeconds", 600),
    "CHIP_HELD_SECONDS": ("ChipHeldSeconds", 900),
    "SHOP_REVOKED_SECONDS": ("ShopRevokedSeconds", 300),
    "GIVE_BACK_SECONDS": ("GiveBackSeconds", 5),
    "LEASE_WAIT_SECONDS": ("LeaseWaitSeconds", 10),
    "RESTORED_AT": ("RestoredAt", ""),
    "ALLOW_PRIVATE_ADDRESSES": ("AllowPrivateAddresses", "false"),
    "LOG_LEVEL": ("LogLevel", "info"),
}
COMMON_ENVIRONMENT = {
    "LEDGER_STACK": "AWS::StackName",
    "TABLE_SYNC_RUNS": "SyncRunsTable",
    "TABLE_ENTITY_XREF": "EntityXrefTable",
    "TABLE_TENANTS": "TenantsTable",
    "KMS_KEY_ID": "Key",
} | {variable: parameter for variable, (parameter, _) in TIMERS.items()}
# What happens in a shop: each event has a queue, and a worker that takes from it alone.
EVENTS = ("InvoiceCreated", "InvoicePaid", "CreditmemoCreated", "CustomerUpserted", "ProductUpserted")


def _queues(*names: str) -> dict[str, str]:
    variable = {name: "_".join(re.findall("[A-Z][a-z]*", name)).upper() for name in names}
    return {f"QUEUE_{variable[name]}_URL": f"{name}Queue" for name in names}


ALL_QUEUES = _queues(*EVENTS, "PushSyncState", "DeadLetter")
ENVIRONMENT = {
    "WebhookFunction": _queues(*EVENTS, "PushSyncState"),
    **{f"Worker{event}Function": _queues(event, "PushSyncState", "DeadLetter") for event in EVENTS},
    "WorkerPushSyncStateFunction": {
        "QUEUE_PUSH_SYNC_STATE_URL": "PushSyncStateQueue",
        "QUEUE_DEAD_LETTER_URL": "DeadLetterQueue",
    },
    "SweeperFunction": ALL_QUEUES,
    "ApiFunction": _queues(*EVENTS, "PushSyncState") | {
        "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH": "true",
        "PUBLIC_URL": "PublicUrl",
        "OIDC_ISSUER": {"Fn::If": ["OwnUserPool", {"Fn::Sub": f"https://cognito-idp.${{AWS::Region}}.amazonaws.com/${{UserPool}}"},
                                   {"Ref": "OidcIssuer"}]},
        "OIDC_CLIENT_IDS": {"Fn::If": ["OwnUserPool", {"Ref": "UserPoolClient"}, {"Ref": "OidcClientIds"}]},
        "OIDC_GROUPS_CLAIM": "OidcGroupsClaim",
        "OIDC_KEYS_URL": "OidcKeysUrl",
    },
}

# Function → timeout parameter and its default.
TIMEOUTS = {
    "WebhookFunction": ("WebhookTimeoutSeconds", 10),
    **{f"Worker{event}Function": ("WorkerTimeoutSeconds", 60) for event in EVENTS},
    "WorkerPushSyncStateFunction": ("WorkerTimeoutSeconds", 60),
    "SweeperFunction": ("SweeperTimeoutSeconds", 60),
    "ApiFunction": ("ApiTimeoutSeconds", 60),
}

# What a sweep needs to ask the shop for a backfill's first id, with time for some more.
BACKFILL_SECONDS = 60

READ = {"dynamodb:GetItem", "dynamodb:Query"}
WRITE = {"dynamodb:PutItem", "dynamodb:UpdateItem"}
ATTEMPT = READ | WRITE | {"dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem"}
SWEEP = READ | WRITE | {"dynamodb:DeleteItem"}
CONSUME = {"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
# Whoever uses a grant may have to renew it.
SEAL = {"kms:Decrypt", "kms:Encrypt"}
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
# Role → resource → actions. Whatever is not here must not be in the template, and the other way round.
PERMISSIONS = {
    "WebhookRole": {
        "SyncRunsTable": WRITE,
        "TenantsTable": WRITE | {"dynamodb:Query"},
        "Key": {"kms:Decrypt"},
        **{f"{event}Queue": {"sqs:SendMessage"} for event in EVENTS},
        "PushSyncStateQueue": {"sqs:SendMessage"},
        "WebhookLogGroup": LOG,
    },
    **{
        f"Worker{event}Role": {
            "SyncRunsTable": ATTEMPT,
            "EntityXrefTable": ATTEMPT,
            "TenantsTable": ATTEMPT,
            "Key": SEAL,
            f"{event}Queue": CONSUME,
            "PushSyncStateQueue": {"sqs:SendMessage"},
            "DeadLetterQueue": {"sqs:SendMessage"},
            f"Worker{event}LogGroup": LOG,
        }
        for event in EVENTS
    },
    "WorkerPushSyncStateRole": {
        "SyncRunsTable": READ | {"dynamodb:BatchGetItem", "dynamodb:UpdateItem"},
        "EntityXrefTable": READ | {"dynamodb:BatchGetItem"},
        "TenantsTable": READ | WRITE | {"dynamodb:BatchGetItem"},
        "Key": {"kms:Decrypt"},
        "PushSyncStateQueue": CONSUME,
        "DeadLetterQueue": {"sqs:SendMessage"},
        "WorkerPushSyncStateLogGroup": LOG,
    },
    "SweeperRole": {
        "SyncRunsTable": SWEEP | {"dynamodb:BatchGetItem"},
        "SyncRunsTable/index/due": {"dynamodb:Query"},
        "SyncRunsTable/index/by_state": {"dynamodb:Query"},
        "SyncRunsTable/index/by_tenant": {"dynamodb:Query"},
        "TenantsTable": SWEEP | {"dynamodb:ConditionCheckItem"},
        "Key": SEAL,
        **{f"{event}Queue": {"sqs:SendMessage"} for event in EVENTS},
        "PushSyncStateQueue": {"sqs:SendMessage"},
        "DeadLetterQueue": {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"},
        "SweeperLogGroup": LOG,
    },
    "ApiRole": {
        "SyncRunsTable": ATTEMPT | {"dynamodb:DeleteItem"},
        "SyncRunsTable/index/by_state": {"dynamodb:Query"},
        "SyncRunsTable/index/by_tenant": {"dynamodb:Query"},
        "EntityXrefTable": ATTEMPT | {"dynamodb:DeleteItem"},
        "EntityXrefTable/index/by_book": {"dynamodb:Query"},
        "TenantsTable": ATTEMPT | {"dynamodb:DeleteItem"},
        "Key": {"kms:Decrypt", "kms:Encrypt"},
        **{f"{event}Queue": {"sqs:SendMessage"} for event in EVENTS},
        "PushSyncStateQueue": {"sqs:SendMessage"},
        "ApiLogGroup": LOG,
    },
    "SweeperScheduleRole": {"SweeperFunction": {"lambda:InvokeFunction"}},
}

# Worker → the queue it takes from.
CONSUMERS = {
    **{f"Worker{event}Function": f"{event}Queue" for event in EVENTS},
    "WorkerPushSyncStateFunction": "PushSyncStateQueue",
}

# Table → key, expiry attribute, and index → key and what it copies.
TABLES: dict[str, tuple[dict[str, str], str | None, dict[str, tuple[dict[str, str], Any]]]] = {
    "SyncRunsTable": (
        {"pk": "S HASH", "sk": "S RANGE"},
        "expires_at",
        {
            "due": ({"due_shard": "S HASH", "due_at": "N RANGE"}, "KEYS_ONLY"),
            "by_state": ({"state_key": "S HASH", "state_order": "S RANGE"}, ("INCLUDE", "code", "owner")),
            "by_tenant": ({"tenant": "S HASH", "received_at": "N RANGE"}, "KEYS_ONLY"),
        },
    ),
    "EntityXrefTable": (
        {"pk": "S HASH"}, None, {"by_book": ({"book": "S HASH", "pk": "S RANGE"}, "KEYS_ONLY")},
    ),
    "TenantsTable": ({"pk": "S HASH", "sk": "S RANGE"}, "expires_at", {}),
}


def _alarm(namespace: str, metric: str, dimensions: dict[str, str], statistic: str, threshold: str,
           periods: int, missing: str = "notBreaching", comparison: str = "GreaterThanThreshold") -> tuple[Any, ...]:
    return namespace, metric, dimensions, statistic, comparison, threshold, 60, periods, missing


_STACK = {"Stack": "AWS::StackName"}
# Alarm → namespace, metric, dimensions, statistic, comparison, threshold, period, periods, missing data.
ALARMS = {
    "DeadLetterQueueDepthAlarm": _alarm(
        "AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": "DeadLetterQueue.QueueName"}, "Maximum",
        "DeadLetterQueueDepthThreshold", 1),
    **{
        f"DeadLetters{owner.capitalize()}Alarm": _alarm(
            "Ledger", "DeadLetters", _STACK | {"Owner": owner}, "Maximum", "DeadLettersThreshold", 1)
        for owner in ("merchant", "accountant", "operator", "ledger")
    },
    "OldestDueAgeAlarm": _alarm(
        "Ledger", "OldestDueAgeSeconds", _STACK, "Maximum", "OldestDueAgeThresholdSeconds", 3),
    # The least in a quarter of an hour: held all that time, not for a moment.
    "HeldRunsAlarm": _alarm("Ledger", "HeldRuns", _STACK, "Minimum", "HeldRunsThreshold", 15),
    "StalledRunsAlarm": _alarm("Ledger", "StalledRuns", _STACK, "Maximum", "StalledRunsThreshold", 3),
    # A sweeper that is dead reports nothing, so nothing is what has to ring.
    "SweeperHeartbeatAlarm": _alarm(
        "Ledger", "SweeperHeartbeat", _STACK, "Sum", 1, 5, missing="breaching", comparison="LessThanThreshold"),
    **{
        f"{function.removesuffix('Function')}{metric}Alarm": _alarm(
            "AWS/Lambda", metric, {"FunctionName": function}, "Sum", f"Function{metric}Threshold", 1)
        for function in ENVIRONMENT
        for metric in ("Errors", "Throttles")
    },
}
THRESHOLDS = {
    "DeadLetterQueueDepthThreshold": 0,
    "DeadLettersThreshold": 0,
    "OldestDueAgeThresholdSeconds": 900,
    "HeldRunsThreshold": 0,
    "StalledRunsThreshold": 0,
    "FunctionErrorsThreshold": 0,
    "FunctionThrottlesThreshold": 0,
}

KEPT = {"SyncRunsTable", "EntityXrefTable", "TenantsTable", "Key", "UserPool"}

OUTPUTS = {
    "ApiUrl", "ApiId", "OidcIssuer", "OidcClientId", "UserPoolId", "SyncRunsTableName", "EntityXrefTableName", "TenantsTableName", "KeyId",
    "AlarmTopicArn", *(f"{queue}Url" for queue in ALL_QUEUES.values()),
    *(f"{function}Name" for function in ENVIRONMENT),
    *(f"{function.removesuffix('Function')}LogGroupName" for function in ENVIRONMENT),
}

# ---------------------------------------------------------------- reading the template


def resources(template: Template, kind: str) -> dict[str, Template]:
    return {name: item for name, item in template["Resources"].items() if item["Type"] == kind}


def value(template: Template, node: Any) -> Any:
    """A literal, or the default of the parameter that is referred to."""
    if isinstance(node, dict) and set(node) == {"Ref"}:
        parameter = template["Parameters"].get(node["Ref"])
        if parameter is not None:
            return parameter.get("Default")
    return node


def referred(node: Any) -> Any:
    """The name behind a reference: `Key` for `!Ref Key`, `!GetAtt Key.Arn` and `!Sub ${Key.Arn}`."""
    if isinstance(node, dict) and len(node) == 1:
        (kind, argument), = node.items()
        if kind == "Ref":
            return argument
        if kind == "Fn::GetAtt":
            name, attribute = argument
            return name if attribute == "Arn" else f"{name}.{attribute}"
        if kind == "Fn::Sub" and isinstance(argument, str):
            return re.sub(r"\$\{([^}]+?)(?:\.Arn)?\}", r"\1", argument)
    return node


def environment(template: Template, function: Template) -> dict[str, Any]:
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    own = function["Properties"].get("Environment", {}).get("Variables", {})
    return {name: referred(node) for name, node in (common | own).items()}


def as_list(node: Any) -> list[Any]:
    return node if isinstance(node, list) else [node]


def expanded(template: Template) -> Template:
    """The template as CloudFormation sees it after the SAM transform."""
    from samtranslator.translator.transform import transform

    prepared = copy.deepcopy(template)
    for function in templates.functions(prepared).values():
        function["Properties"]["CodeUri"] = {"Bucket": "bucket", "Key": "key"}
    prepared["Globals"]["Function"].pop("CodeUri", None)
    return transform(prepared, {}, SimpleNamespace(load=dict))


def permissions(template: Template, role: Template) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for policy in role["Properties"].get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            for resource in as_list(statement["Resource"]):
                name = referred(resource)
                assert isinstance(name, str), f"a resource that is no reference: {resource}"
                found.setdefault(name, set()).update(as_list(statement["Action"]))
    return found


def equal(found: Any, promised: Any, what: str) -> None:
    assert found == promised, f"{what}: found {found!r}, promised {promised!r}"


# ---------------------------------------------------------------- checks


def check_routes_and_their_authorizers(template: Template) -> None:
    found = {}
    for name, api in resources(expanded(template), "AWS::ApiGateway::RestApi").items():
        assert not api["Properties"]["Body"].get("security"), f"{name} has an authorizer for everything"
        for path, methods in api["Properties"]["Body"]["paths"].items():
            for method, operation in methods.items():
                uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
                function = re.search(r"\$\{(\w+)\.Arn\}/invocations", uri)
                assert function, f"{path} leads to no function"
                equal(operation["x-amazon-apigateway-integration"]["type"], "aws_proxy", path)
                authorizers = [key for entry in operation.get("security", []) for key in entry] or None
                found[method, path] = (function[1], authorizers)
    equal(found, ROUTES, "routes")


def check_stage_is_called_live(template: Template) -> None:
    stages = resources(expanded(template), "AWS::ApiGateway::Stage")
    equal([stage["Properties"]["StageName"] for stage in stages.values()], ["live"], "stages")


def check_api_is_a_rest_api(template: Template) -> None:
    """Only REST APIs let their own answers be changed."""
    found = {item["Type"] for item in template["Resources"].values()}
    assert not found & {"AWS::Serverless::HttpApi", "AWS::ApiGatewayV2::Api"}, "an HTTP API answers 429 by itself"


def check_gateway_responses(template: Template) -> None:
    api, = resources(expanded(template), "AWS::ApiGateway::RestApi").values()
    found = {}
    for name, response in api["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"].items():
        headers = response.get("responseParameters", {})
        retry = headers.get("gatewayresponse.header.Retry-After")
        assert retry is None or re.fullmatch(r"'[1-9]\d*'", retry), f"{name}: {retry} is no quoted number of seconds"
        found[name] = (int(response["statusCode"]), retry is not None)
    equal(found, GATEWAY_RESPONSES, "gateway responses")


def check_throttling(template: Template) -> None:
    """Whoever asks a lot must not use up what the account has for deliveries."""
    stage, = resources(expanded(template), "AWS::ApiGateway::Stage").values()
    found = {}
    for setting in stage["Properties"].get("MethodSettings", []):
        path = "/" + setting["ResourcePath"].removeprefix("/~1").replace("~1", "/")
        found[setting["HttpMethod"].lower(), path] = {
            name: referred(node) for name, node in setting.items() if name.startswith("Throttling")}
    limits = {name: parameter for name, (parameter, _) in THROTTLED.items()}
    equal(found, {route: limits for route, (function, _) in ROUTES.items() if function == "ApiFunction"}, "throttling")
    for parameter, default in THROTTLED.values():
        equal(template["Parameters"][parameter]["Default"], default, f"default of {parameter}")


def check_functions_have_folders(template: Template) -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/Cargo.toml")}
    found = templates.functions(template)
    equal({templates.folder_of(name) for name in found}, folders, "functions and folders under functions/")
    for name, function in found.items():
        equal(function.get("Metadata", {}).get("BuildMethod"), "makefile", f"{name} build method")
        assert "CodeUri" not in function["Properties"], f"{name} has code of its own"
    common = template["Globals"]["Function"]
    equal((common["Runtime"], common["Handler"], common["CodeUri"]),
          ("provided.al2023", "bootstrap", "infra/build/"), "runtime")


def check_environment(template: Template) -> None:
    found = templates.functions(template)
    equal(set(found), set(ENVIRONMENT), "functions")
    for name, function in found.items():
        equal(environment(template, function), COMMON_ENVIRONMENT | ENVIRONMENT[name], f"environment of {name}")


def check_timers_are_parameters(template: Template) -> None:
    for parameter, default in [*TIMERS.values(), *TIMEOUTS.values(), ("QueueVisibilitySeconds", 360)]:
        equal(template["Parameters"].get(parameter, {}).get("Default"), default, f"default of {parameter}")
    for name, (parameter, _) in TIMEOUTS.items():
        timeout = template["Resources"][name]["Properties"].get("Timeout")
        equal(referred(timeout), parameter, f"timeout of {name}")
    # `shared/engine/src/backfill.rs` asks the shop only while 35 s are left of a sweep, which ends 5 s before its function does.
    least = template["Parameters"]["SweeperTimeoutSeconds"].get("MinValue")
    assert least is not None and least >= BACKFILL_SECONDS, f"a sweep of {least} s never gets to a backfill"


def check_visibility_is_six_timeouts(template: Template) -> None:
    for worker, queue in CONSUMERS.items():
        timeout = value(template, template["Resources"][worker]["Properties"]["Timeout"])
        visibility = value(template, template["Resources"][queue]["Properties"]["VisibilityTimeout"])
        assert visibility >= 6 * timeout, f"{queue}: {visibility} s is less than six times {timeout} s"


def check_mappings(template: Template) -> None:
    found = {}
    for name, mapping in resources(expanded(template), "AWS::Lambda::EventSourceMapping").items():
        properties = mapping["Properties"]
        found[referred(properties["FunctionName"])] = referred(properties["EventSourceArn"])
        assert "MaximumBatchingWindowInSeconds" not in properties, f"{name}: FIFO queues allow no batching window"
        equal(properties.get("FunctionResponseTypes"), ["ReportBatchItemFailures"], f"{name} response types")
        batch = value(template, properties["BatchSize"])
        assert 1 <= batch <= 10, f"{name}: FIFO queues allow batches of ten at most, not {batch}"
        concurrency = value(template, properties.get("ScalingConfig", {}).get("MaximumConcurrency"))
        assert isinstance(concurrency, int) and concurrency >= 2, f"{name}: concurrency {concurrency} is below two"
        assert properties.get("Enabled", True) is True, f"{name} is switched off"
    equal(found, CONSUMERS, "queues and their consumers")
    equal(value(template, {"Ref": "WorkerBatchSize"}), 1, "batch size")
    for parameter, bounds in {"WorkerBatchSize": (1, 10), "WorkerMaximumConcurrency": (2, 1000)}.items():
        declared = template["Parameters"][parameter]
        equal((declared.get("MinValue"), declared.get("MaxValue")), bounds, f"bounds of {parameter}")


def check_queues(template: Template) -> None:
    found = resources(template, "AWS::SQS::Queue")
    equal(set(found), set(ALL_QUEUES.values()), "queues")
    for name, queue in found.items():
        properties = queue["Properties"]
        promised = {
            "FifoQueue": True,
            "DeduplicationScope": "messageGroup",
            "FifoThroughputLimit": "perMessageGroupId",
            "MessageRetentionPeriod": 14 * 24 * 3600,
            "SqsManagedSseEnabled": True,
        }
        equal({key: properties.get(key) for key in promised}, promised, name)
        assert "QueueName" not in properties, f"{name} has a fixed name"
        redrive = properties.get("RedrivePolicy")
        if name == "DeadLetterQueue":
            equal(redrive, None, "redrive of the dead-letter queue")
        else:
            assert redrive, f"{name} has no dead-letter queue"
            equal((referred(redrive["deadLetterTargetArn"]), redrive["maxReceiveCount"]), ("DeadLetterQueue", 10),
                  f"redrive of {name}")


def check_no_cycle(template: Template) -> None:
    """A function must not reach, over queues, a queue it takes from: Lambda would cut the chain and lose the work."""
    roles = {name: referred(function["Properties"]["Role"]) for name, function in templates.functions(template).items()}
    leads_to: dict[str, set[str]] = {}
    for name, role in roles.items():
        granted = permissions(template, template["Resources"][role])
        leads_to[name] = {resource for resource, actions in granted.items() if "sqs:SendMessage" in actions}
    for mapping in resources(expanded(template), "AWS::Lambda::EventSourceMapping").values():
        properties = mapping["Properties"]
        leads_to.setdefault(referred(properties["EventSourceArn"]), set()).add(referred(properties["FunctionName"]))

    def walk(node: str, path: tuple[str, ...]) -> None:
        assert node not in path, f"a cycle: {' → '.join((*path, node))}"
        for following in sorted(leads_to.get(node, ())):
            walk(following, (*path, node))

    for start in sorted(leads_to):
        walk(start, ())


def check_roles_are_explicit(template: Template) -> None:
    roles = resources(expanded(template), "AWS::IAM::Role")
    equal(set(roles), set(PERMISSIONS), "roles, those of the transform included")
    for name, role in roles.items():
        assert not role["Properties"].get("ManagedPolicyArns"), f"{name} has a managed policy"
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                equal(statement["Effect"], "Allow", name)
                assert not {"NotAction", "NotResource"} & set(statement), f"{name} allows all but something"
                for resource in as_list(statement["Resource"]):
                    assert "*" not in str(resource), f"{name} names no resource but {resource}"
                for action in as_list(statement["Action"]):
                    assert "*" not in action, f"{name} allows {action}"
    for kind in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::User", "AWS::IAM::Group"):
        equal(resources(template, kind), {}, kind)


def check_roles_have_the_least(template: Template) -> None:
    for name, role in resources(template, "AWS::IAM::Role").items():
        equal(permissions(template, role), PERMISSIONS.get(name), f"permissions of {name}")
    for name, function in templates.functions(template).items():
        equal(referred(function["Properties"]["Role"]), name.removesuffix("Function") + "Role", f"role of {name}")
        assert "Policies" not in function["Properties"], f"{name} has policies beside its role"


def check_roles_are_assumed_by_their_service(template: Template) -> None:
    for name, role in resources(template, "AWS::IAM::Role").items():
        statement, = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        service = "scheduler.amazonaws.com" if name == "SweeperScheduleRole" else "lambda.amazonaws.com"
        equal((statement["Principal"], statement["Action"]), ({"Service": service}, "sts:AssumeRole"), name)


def check_no_reserved_concurrency(template: Template) -> None:
    for name, function in templates.functions(template).items():
        assert "ReservedConcurrentExecutions" not in function["Properties"], f"{name} reserves concurrency"


def check_sweeper_schedule(template: Template) -> None:
    sweeper = template["Resources"]["SweeperFunction"]["Properties"]
    equal(sweeper.get("EventInvokeConfig"), {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
          "asynchronous invocations of the sweeper")
    schedule, = resources(expanded(template), "AWS::Scheduler::Schedule").values()
    properties = schedule["Properties"]
    equal(value(template, properties["ScheduleExpression"]), "rate(1 minute)", "schedule")
    equal(value(template, properties["State"]), "ENABLED", "schedule's state")
    equal(properties["Target"]["RetryPolicy"], {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}, "retries")
    equal(referred(properties["Target"]["Arn"]), "SweeperFunction", "schedule's target")
    equal(referred(properties["Target"]["RoleArn"]), "SweeperScheduleRole", "schedule's role")
    assert "Name" not in properties, "a second stack could not have a schedule of the same name"


def check_tables(template: Template) -> None:
    found = resources(template, "AWS::DynamoDB::Table")
    equal(set(found), set(TABLES), "tables")
    for name, table in found.items():
        properties = table["Properties"]
        key, expiry, indexes = TABLES[name]
        kinds = {item["AttributeName"]: item["AttributeType"] for item in properties["AttributeDefinitions"]}

        def schema(node: Template) -> dict[str, str]:
            return {item["AttributeName"]: f"{kinds[item['AttributeName']]} {item['KeyType']}"  # noqa: B023
                    for item in node["KeySchema"]}

        def projection(index: Template) -> Any:
            attributes = index["Projection"].get("NonKeyAttributes")
            kind = index["Projection"]["ProjectionType"]
            return (kind, *attributes) if attributes else kind

        equal(schema(properties), key, f"key of {name}")
        equal({index["IndexName"]: (schema(index), projection(index))
               for index in properties.get("GlobalSecondaryIndexes", [])}, indexes, f"indexes of {name}")
        expected = {"AttributeName": expiry, "Enabled": True} if expiry else None
        equal(properties.get("TimeToLiveSpecification"), expected, f"expiry of {name}")
        equal(properties.get("BillingMode"), "PAY_PER_REQUEST", f"billing of {name}")
        equal(properties.get("PointInTimeRecoverySpecification"), {"PointInTimeRecoveryEnabled": True},
              f"point-in-time recovery of {name}")
        encryption = properties.get("SSESpecification", {})
        equal((encryption.get("SSEEnabled"), encryption.get("SSEType"), referred(encryption.get("KMSMasterKeyId"))),
              (True, "KMS", "Key"), f"encryption of {name}")
        equal(properties.get("DeletionProtectionEnabled"), {"Fn::If": ["ProtectTables", True, False]},
              f"deletion protection of {name}")
        assert "TableName" not in properties, f"{name} has a fixed name"
    equal(value(template, {"Ref": "DeletionProtection"}), "true", "deletion protection by default")
    equal(template["Conditions"]["ProtectTables"], {"Fn::Equals": [{"Ref": "DeletionProtection"}, "true"]}, "condition")


def check_what_is_kept(template: Template) -> None:
    for name in KEPT:
        resource = template["Resources"][name]
        equal((resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")), ("Retain", "Retain"), name)


def check_key(template: Template) -> None:
    properties = template["Resources"]["Key"]["Properties"]
    equal(properties.get("EnableKeyRotation"), True, "rotation")
    statements = {statement["Sid"]: statement for statement in properties["KeyPolicy"]["Statement"]}
    equal(set(statements), {"AccountAdministersAndDelegates", "TablesThroughDynamoDb", "AlarmsToTheirTopic"},
          "key policy")
    equal(statements["TablesThroughDynamoDb"].get("Condition"), {"StringEquals": {
        "kms:CallerAccount": {"Ref": "AWS::AccountId"},
        "kms:ViaService": {"Fn::Sub": "dynamodb.${AWS::Region}.amazonaws.com"},
    }}, "who may use the key through tables")
    equal(statements["AlarmsToTheirTopic"]["Principal"], {"Service": "cloudwatch.amazonaws.com"}, "alarms' principal")
    equal(set(statements["AlarmsToTheirTopic"]["Action"]), {"kms:Decrypt", "kms:GenerateDataKey*"}, "alarms' actions")


def check_alarms(template: Template) -> None:
    found = {}
    for name, alarm in resources(template, "AWS::CloudWatch::Alarm").items():
        properties = alarm["Properties"]
        dimensions = {item["Name"]: referred(item["Value"]) for item in properties["Dimensions"]}
        found[name] = (
            properties["Namespace"], properties["MetricName"], dimensions, properties["Statistic"],
            properties["ComparisonOperator"], referred(properties["Threshold"]), properties["Period"],
            properties["EvaluationPeriods"], properties["TreatMissingData"],
        )
        equal(properties.get("DatapointsToAlarm"), properties["EvaluationPeriods"], f"data points of {name}")
        for action in ("AlarmActions", "OKActions"):
            equal([referred(target) for target in properties.get(action, [])], ["AlarmTopic"], f"{action} of {name}")
        assert properties.get("ActionsEnabled", True) is True, f"{name} tells nobody"
    for name in sorted(set(found) | set(ALARMS)):
        equal(found.get(name), ALARMS.get(name), name)
    for parameter, default in THRESHOLDS.items():
        equal(template["Parameters"][parameter].get("Default"), default, parameter)


def check_alarm_topic(template: Template) -> None:
    equal(referred(template["Resources"]["AlarmTopic"]["Properties"].get("KmsMasterKeyId")), "Key", "topic's key")
    subscription = template["Resources"]["AlarmSubscription"]
    equal((subscription.get("Condition"), subscription["Properties"]["Protocol"],
           referred(subscription["Properties"]["TopicArn"]), referred(subscription["Properties"]["Endpoint"])),
          ("HasAlarmEmail", "email", "AlarmTopic", "AlarmEmail"), "subscription")


def check_sign_in(template: Template) -> None:
    """Nobody makes an account for themselves, and the command line's codes are bound to it."""
    pool = template["Resources"]["UserPool"]["Properties"]
    equal(pool.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly"), True, "who makes accounts")
    equal(pool.get("MfaConfiguration"), "OPTIONAL", "second factor")
    assert pool.get("Policies", {}).get("PasswordPolicy", {}).get("MinimumLength", 0) >= 12, "passwords are too short"
    client = template["Resources"]["UserPoolClient"]["Properties"]
    equal((client.get("AllowedOAuthFlows"), client.get("GenerateSecret")), (["code"], False), "the client's flow")
    equal(client.get("CallbackURLs"), [f"http://localhost:{port}/callback" for port in (8250, 8251, 8252)], "callbacks")
    equal(client.get("ExplicitAuthFlows"), ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"], "flows without a page")
    equal(client.get("TokenValidityUnits", {}).get("AccessToken"), "hours", "unit of a token's life")
    equal(client.get("AccessTokenValidity"), 1, "an access token's life")
    groups = resources(template, "AWS::Cognito::UserPoolGroup")
    equal({group["Properties"]["GroupName"] for group in groups.values()}, {"admin", "operator", "viewer"}, "groups")
    for name, resource in template["Resources"].items():
        if resource["Type"].startswith("AWS::Cognito::"):
            equal(resource.get("Condition"), "OwnUserPool", f"condition of {name}")


def check_log_groups(template: Template) -> None:
    for name, function in templates.functions(template).items():
        group = name.removesuffix("Function") + "LogGroup"
        equal(referred(function["Properties"].get("LoggingConfig", {}).get("LogGroup")), group, f"log group of {name}")
        properties = template["Resources"][group]["Properties"]
        equal(referred(properties.get("RetentionInDays")), "LogRetentionDays", f"retention of {group}")
        # Set by hand, the name would have to be unique in the account.
        assert "LogGroupName" not in properties, f"{group} has a fixed name"


def check_outputs(template: Template) -> None:
    equal(set(template["Outputs"]), OUTPUTS, "outputs")


# Column of the page on security → role; workers of events have the same rights, each with a queue of its own.
ROLES = {
    "webhook": "WebhookRole", "each event's worker": "Worker{event}Role", "push worker": "WorkerPushSyncStateRole",
    "sweeper": "SweeperRole", "api": "ApiRole",
}
RIGHTS = {
    "`sync_runs`": "SyncRunsTable",
    "its index `due`": "SyncRunsTable/index/due",
    "its index `by_state`": "SyncRunsTable/index/by_state",
    "its index `by_tenant`": "SyncRunsTable/index/by_tenant",
    "`entity_xref`": "EntityXrefTable",
    "its index `by_book`": "EntityXrefTable/index/by_book",
    "`tenants`": "TenantsTable",
    "key": "Key",
    "own queue": "{own}",
    "events' queues": "{event}Queue",
    "chips' queue": "PushSyncStateQueue",
    "dead letters' queue": "DeadLetterQueue",
    "own log group": "{function}LogGroup",
}


def rights_table(template: Template) -> list[str]:
    """The lines of the table of rights, as the roles have them."""

    def column(role: str) -> dict[str, str]:
        granted = dict(permissions(template, template["Resources"][role]))
        own = CONSUMERS.get(role.removesuffix("Role") + "Function")
        cells = {}
        for label, resource in RIGHTS.items():
            names = [resource.format(own=own, function=role.removesuffix("Role"), event="{event}")]
            if "{event}" in names[0]:
                names = [f"{event}Queue" for event in EVENTS]
            if label != "own queue":
                names = [name for name in names if name != own]
            sets = {frozenset(granted.pop(name, frozenset())) for name in names} or {frozenset()}
            assert len(sets) == 1, f"{role} has different rights on {names}"
            actions, = sets
            cells[label] = ", ".join(sorted(action.partition(":")[2] for action in actions)) or "–"
        equal(granted, {}, f"rights of {role} that the table has no line for")
        return cells

    columns = {}
    for label, role in ROLES.items():
        found = [column(role.format(event=event)) for event in (EVENTS if "{event}" in role else EVENTS[:1])]
        assert all(cells == found[0] for cells in found), f"{label}: not the same rights"
        columns[label] = found[0]
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return lines + [f"| {label} | {' | '.join(cells[label] for cells in columns.values())} |" for label in RIGHTS]


def check_the_page_on_security_has_the_rights(template: Template) -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = "\n".join(rights_table(template))
    assert f"\n\n{table}\n\n" in text, f"docs/security.md should have\n{table}"


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
