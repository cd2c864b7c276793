"""The project's stack on this machine: the real template on a local AWS engine, with IAM enforced.

    stack.py [--name NAME] up | down | restart | status | sweep | token | user | journal | dump | alarms | ailing | env |
        run -- COMMAND…

Every name has a folder, an engine and ports of its own, so stacks of one checkout or of several never meet. Also
`strict METHOD PATH [BODY]`: what the API would answer where private addresses are not allowed, as on AWS.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import hashlib
import io
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tools
from tools import LOCAL, ROOT, say, step

tools.run_inside("engine")

import boto3  # noqa: E402
import botocore.auth  # noqa: E402
import botocore.awsrequest  # noqa: E402
import botocore.config  # noqa: E402
import botocore.credentials  # noqa: E402
import botocore.exceptions  # noqa: E402

import processes  # noqa: E402
import signin  # noqa: E402
import template as templates  # noqa: E402

REGION = "eu-west-1"
ACCOUNT = "000000000000"
BUCKET = "ledger-deployments"
OPERATOR = "ledger-operator"
# The operator whose token `up` writes down.
ADMINISTRATOR = "administrator"


@dataclasses.dataclass(frozen=True)
class StandIn:
    """What `up` starts besides the engine: a program, and under which name its address is written down."""

    program: str
    variable: str
    arguments: tuple[str, ...] = ()
    # The argument that takes the id of the organisation whose book it is. A book that is started anew counts its documents
    # from 1 again, so it gets another one: what the stack remembers of the last one is not true of this.
    organisation: str | None = None


def shop(provider: str, variable: str) -> StandIn:
    """A shop with one provider's module, which tells of products too."""
    return StandIn("world-shop", variable, ("--provider", provider, "--catalogue-watcher", provider))


# A shop to a dialect: two dialects are of one provider, and a shop sends an event to a provider once.
STAND_INS = {
    "shop": shop("xero", "SHOP_URL"),
    "book": StandIn("world-book", "BOOK_URL", organisation="--company-id"),
    "shop-accounting": shop("xero", "SHOP_ACCOUNTING_URL"),
    "book-accounting": StandIn("world-accounting", "BOOK_ACCOUNTING_URL", organisation="--tenant"),
    "shop-sage": shop("sage_accounting", "SHOP_SAGE_URL"),
    "book-sage": StandIn("world-sage", "BOOK_SAGE_URL", organisation="--business"),
    "shop-freeagent": shop("freeagent", "SHOP_FREEAGENT_URL"),
    # Without the real one's limits: a sixth demo within a minute would have to wait for the next.
    "book-freeagent": StandIn("world-freeagent", "BOOK_FREEAGENT_URL",
                              ("--requests-per-minute", "0", "--requests-per-hour", "0"), organisation="--company-id"),
}
# Where only these differ from the defaults, everything else behaves as it would on AWS.
LOCAL_PARAMETERS = {
    "AllowPrivateAddresses": "true",
    "DeletionProtection": "false",
}
# Stands between functions and engine where a stack is started with `--fault-proxy`.
FAULT_PROXY = "fault-proxy"
# Kinds of tokens: an operator's, and three that must not count: one that says who somebody is, one of another client of
# the same pool, one of another pool.
TOKENS = ("access", "id", "other-client", "other-pool")
# Written by `up`; anything else in the file was added by somebody else and is kept while the stack lives.
QUEUES = {
    "QUEUE_INVOICE_CREATED_URL": "InvoiceCreatedQueueUrl",
    "QUEUE_INVOICE_PAID_URL": "InvoicePaidQueueUrl",
    "QUEUE_CREDITMEMO_CREATED_URL": "CreditmemoCreatedQueueUrl",
    "QUEUE_CUSTOMER_UPSERTED_URL": "CustomerUpsertedQueueUrl",
    "QUEUE_PRODUCT_UPSERTED_URL": "ProductUpsertedQueueUrl",
    "QUEUE_PUSH_SYNC_STATE_URL": "PushSyncStateQueueUrl",
    "QUEUE_DEAD_LETTER_URL": "DeadLetterQueueUrl",
}
TABLES = {
    "TABLE_SYNC_RUNS": "SyncRunsTableName",
    "TABLE_ENTITY_XREF": "EntityXrefTableName",
    "TABLE_TENANTS": "TenantsTableName",
}


class Stack:
    """One stack's folder, engine and clients."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = LOCAL if name == "default" else LOCAL / name
        self.stack = "ledger" if name == "default" else f"ledger-{name}"
        self.records = self.folder / "run"
        self.logs = self.folder / "logs"
        self.env_file = self.folder / "stack.env"
        self.deployed = self.folder / "engine" / "deployed.json"
        self.ended_in_peace = self.folder / "engine" / "ended-in-peace"

    # ------------------------------------------------------------ engine

    @property
    def engine(self) -> dict[str, Any] | None:
        return processes.find(self.records / "engine.json")

    @property
    def endpoint(self) -> str:
        engine = self.engine
        if engine is None:
            sys.exit(f"stack {self.name} is not up")
        return f"http://127.0.0.1:{engine['port']}"

    def client(self, service: str) -> Any:
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=REGION,
            # The engine takes these for the account's root.
            aws_access_key_id="test", aws_secret_access_key="test",
            config=botocore.config.Config(
                # An answer that is late must not run a sweep twice.
                retries={"max_attempts": 0 if service == "lambda" else 2},
                read_timeout=130, s3={"addressing_style": "path"},
            ),
        )

    @property
    def fault_proxy(self) -> str | None:
        """Where the proxy before the engine is, if there is one."""
        running = processes.find(self.records / f"{FAULT_PROXY}.json")
        return None if running is None else listening(self.logs / f"{FAULT_PROXY}.log")

    def start_fault_proxy(self, binaries: Path, engine_port: int) -> None:
        """Starts the proxy that functions take for the engine."""
        program = binaries / FAULT_PROXY
        if not program.exists():
            sys.exit(f"{program} is missing: run `make build-local`")
        log = self.logs / f"{FAULT_PROXY}.log"
        log.unlink(missing_ok=True)
        command = [str(program), "--listen", f"127.0.0.1:{free_port()}", "--engine", f"127.0.0.1:{engine_port}"]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
        processes.start(self.records / f"{FAULT_PROXY}.json", command, environment, log)
        wait_for(lambda: listening(log) is not None, 20, "the fault proxy", log,
                 lambda: processes.find(self.records / f"{FAULT_PROXY}.json") is not None)

    def start_engine(self, port: int | None, fault_proxy: Path | None = None) -> None:
        """Starts the engine unless it runs; on its state, where it left one. `fault_proxy` says where the proxy was built that
        shall stand before it; one that runs already stays."""
        if self.engine is not None:
            if fault_proxy is not None and self.fault_proxy is None:
                sys.exit(f"stack {self.name} was started without a fault proxy: take it down first")
            return
        if self.ended_in_peace.exists():
            # Kept queues and mappings carry the port in their URLs.
            kept = read_env(self.env_file).get("AWS_ENDPOINT_URL", "").rpartition(":")[2]
            port = port or (int(kept) if kept.isdigit() else None)
        port = port or free_port()
        with step(f"starting the engine on 127.0.0.1:{port}"):
            temporary = self.folder / "tmp"
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            state = self.folder / "engine"
            # The engine writes its state when it ends in peace; of one that did not, nothing whole is left.
            if not self.ended_in_peace.exists():
                # Shops and books that remember what the stack does not would contradict it, and a proxy knows the old port.
                for name in (FAULT_PROXY, *STAND_INS):
                    processes.stop(self.records / f"{name}.json")
                shutil.rmtree(state, ignore_errors=True)
                self.env_file.unlink(missing_ok=True)
                (self.logs / "engine.log").unlink(missing_ok=True)
                state.mkdir(parents=True)
            self.ended_in_peace.unlink(missing_ok=True)
            endpoint = f"http://127.0.0.1:{port}"
            if fault_proxy is not None and self.fault_proxy is None:
                self.start_fault_proxy(fault_proxy, port)
            # Functions inherit this environment, so it holds nothing of the caller's.
            environment = {
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(temporary),
                "TMPDIR": str(temporary),
                "LANG": "C.UTF-8",
                "AUTH": "true",
                # Of all calls together: what a test that keeps a journal looks for has to be among them.
                "CLOUDTRAIL_MAX_EVENTS": "30000",
                # What functions take for AWS.
                "AWS_ENDPOINT_URL": self.fault_proxy or endpoint,
                "BIND_HOST": "127.0.0.1",
                "GATEWAY_PORT": str(port),
                "MINISTACK_ACCOUNT_ID": ACCOUNT,
                "MINISTACK_HOST": "127.0.0.1",
                "MINISTACK_REGION": REGION,
                "PERSIST_STATE": "1",
                "STATE_DIR": str(state),
                "S3_PERSIST": "1",
                "S3_DATA_DIR": str(state / "s3"),
                # Listeners nobody here needs.
                "IOT_MTLS_ENABLED": "0",
                "SFTP_ENABLED": "0",
            }
            processes.start(
                self.records / "engine.json", [sys.executable, "-m", "ministack"], environment,
                self.logs / "engine.log", port=port,
            )
            wait_for(lambda: answers(f"{endpoint}/_ministack/health"), 60, "the engine", self.logs / "engine.log",
                     lambda: self.engine is not None)

    def stop_engine(self) -> bool:
        # It writes down all that it knows before it ends.
        was_running = processes.stop(self.records / "engine.json", patience=60.0)
        if was_running:
            self.ended_in_peace.touch()
        return was_running

    # ------------------------------------------------------------ deployment

    def deploy(self, functions: Path, parameters: dict[str, str]) -> None:
        """Brings the stack to the template, the parameters and the binaries, and does nothing where it is there."""
        template = templates.load()
        unknown = set(parameters) - set(template["Parameters"])
        if unknown:
            sys.exit(f"the template has no parameter {', '.join(sorted(unknown))}")
        parameters = LOCAL_PARAMETERS | parameters
        code = self.upload_code(template, functions)
        for logical_id, key in code.items():
            # The only change to the template: where each function's code lies.
            template["Resources"][logical_id]["Properties"]["CodeUri"] = {"Bucket": BUCKET, "Key": key}
        body = json.dumps(template, separators=(",", ":"))
        wanted = {"template": hashlib.sha256(body.encode()).hexdigest(), "parameters": parameters}
        if self.deployed.exists() and json.loads(self.deployed.read_text(encoding="utf-8")) == wanted:
            say("    template, parameters and functions are deployed already")
            return
        with step(f"deploying stack {self.stack}"):
            key = f"template-{wanted['template'][:16]}.json"
            self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body.encode())
            self.apply(f"{self.endpoint}/{BUCKET}/{key}", parameters)
        self.deployed.write_text(json.dumps(wanted), encoding="utf-8")

    def upload_code(self, template: dict[str, Any], functions: Path) -> dict[str, str]:
        s3 = self.client("s3")
        try:
            s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        except s3.exceptions.BucketAlreadyOwnedByYou:
            pass
        present = {item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}
        known = self.folder / "engine" / "code.json"
        seen = json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}

        def upload(logical_id: str) -> tuple[str, str, str]:
            folder = templates.folder_of(logical_id)
            binary = functions / folder / "bootstrap"
            if not binary.exists():
                sys.exit(f"{binary} is missing: run `make build-local`")
            facts = binary.stat()
            print_of_file = f"{binary}:{facts.st_size}:{facts.st_mtime_ns}"
            entry = seen.get(logical_id)
            if entry and entry["file"] == print_of_file and entry["key"] in present:
                return logical_id, entry["key"], print_of_file
            archive = package(binary)
            key = f"{folder}/{hashlib.sha256(archive).hexdigest()[:32]}.zip"
            if key not in present:
                s3.put_object(Bucket=BUCKET, Key=key, Body=archive)
            return logical_id, key, print_of_file

        with concurrent.futures.ThreadPoolExecutor() as pool:
            done = list(pool.map(upload, templates.functions(template)))
        known.write_text(
            json.dumps({logical_id: {"key": key, "file": file} for logical_id, key, file in done}), encoding="utf-8")
        return {logical_id: key for logical_id, key, _ in done}

    def apply(self, template_url: str, parameters: dict[str, str]) -> None:
        cloudformation = self.client("cloudformation")
        request = {
            "StackName": self.stack,
            "TemplateURL": template_url,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in sorted(parameters.items())
            ],
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        }
        current = self.describe()
        if current is not None and current["StackStatus"] in ("ROLLBACK_COMPLETE", "CREATE_FAILED"):
            cloudformation.delete_stack(StackName=self.stack)
            wait_for(lambda: self.describe() is None, 60, "the failed stack's deletion")
            current = None
        try:
            if current is None:
                cloudformation.create_stack(**request)
            else:
                cloudformation.update_stack(**request)
        except botocore.exceptions.ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
            return
        settled = None
        end = time.monotonic() + 180
        while time.monotonic() < end:
            settled = self.describe()
            if settled and not settled["StackStatus"].endswith("_IN_PROGRESS"):
                break
            time.sleep(0.1)
        if settled is None or settled["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            for event in cloudformation.describe_stack_events(StackName=self.stack)["StackEvents"]:
                if event["ResourceStatus"].endswith("_FAILED"):
                    say(f"    {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}")
            sys.exit(f"the stack ended as {settled['StackStatus'] if settled else 'nothing'}")

    def describe(self) -> dict[str, Any] | None:
        try:
            return self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"][0]
        except botocore.exceptions.ClientError as error:
            if "does not exist" in str(error):
                return None
            raise

    @property
    def outputs(self) -> dict[str, str]:
        described = self.describe()
        if described is None:
            sys.exit(f"stack {self.name} is not deployed")
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    # ------------------------------------------------------------ operator

    def operator(self, outputs: dict[str, str]) -> tuple[str, str]:
        """A principal for the command line, allowed what an operator needs and nothing else."""
        iam = self.client("iam")
        try:
            iam.create_user(UserName=OPERATOR)
        except iam.exceptions.EntityAlreadyExistsException:
            pass
        iam.put_user_policy(
            UserName=OPERATOR, PolicyName="operate", PolicyDocument=json.dumps(operator_policy(self.stack, outputs)))
        kept = self.folder / "engine" / "operator.json"
        if kept.exists():
            key = json.loads(kept.read_text(encoding="utf-8"))
            existing = {item["AccessKeyId"] for item in iam.list_access_keys(UserName=OPERATOR)["AccessKeyMetadata"]}
            if key["id"] in existing:
                return key["id"], key["secret"]
        created = iam.create_access_key(UserName=OPERATOR)["AccessKey"]
        key = {"id": created["AccessKeyId"], "secret": created["SecretAccessKey"]}
        kept.write_text(json.dumps(key), encoding="utf-8")
        return key["id"], key["secret"]

    def url(self, outputs: dict[str, str]) -> str:
        """Where the API is."""
        return f"{self.endpoint}/restapis/{outputs['ApiId']}/live/_user_request_"

    def token(self, user: str, groups: list[str], kind: str = "access") -> str:
        """A token of an operator, made for it and signed in; see TOKENS for the kinds."""
        cognito = self.client("cognito-idp")
        pool, client = self.outputs["UserPoolId"], self.outputs["OidcClientId"]
        if kind == "other-pool":
            pool = cognito.create_user_pool(PoolName="another")["UserPool"]["Id"]
        if kind in ("other-pool", "other-client"):
            client = signin.make_client(cognito, pool)
        password = signin.make_user(cognito, pool, user, groups)
        return signin.sign_in(self.endpoint, client, user, password)["id_token" if kind == "id" else "access_token"]

    def dump(self, since: int) -> None:
        """Prints every item of the tables, every message that lies in a queue, and of the time since a moment (in ms) every
        log line, and every message that was sent while there was a journal."""
        outputs = self.outputs
        dynamodb, sqs, logs = self.client("dynamodb"), self.client("sqs"), self.client("logs")
        for table in TABLES.values():
            for page in dynamodb.get_paginator("scan").paginate(TableName=outputs[table], ConsistentRead=True):
                for item in page["Items"]:
                    # Bytes as text of the same letters, so that whoever searches finds what lies open in them.
                    print("item", json.dumps(item, ensure_ascii=False, default=lambda raw: bytes(raw).decode("latin-1")))
        for queue in QUEUES.values():
            # Nothing is taken away: who comes next finds them again.
            taken = sqs.receive_message(QueueUrl=outputs[queue], MaxNumberOfMessages=10, VisibilityTimeout=0)
            for message in taken.get("Messages", []):
                print("message", json.dumps(message, ensure_ascii=False))
        for message in self.sent(since):
            print("sent", json.dumps(message, ensure_ascii=False))
        for name in (value for name, value in sorted(outputs.items()) if name.endswith("LogGroupName")):
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=name, startTime=since):
                for event in page["events"]:
                    print("line", json.dumps(event["message"], ensure_ascii=False))

    def user(self, name: str, groups: list[str]) -> str:
        """Makes an operator who can sign in with `ledger login`; the password."""
        return signin.make_user(self.client("cognito-idp"), self.outputs["UserPoolId"], name, groups)

    def journal(self, on: bool) -> None:
        """Lets the engine note every call, or no more; what it noted stays."""
        request = urllib.request.Request(  # noqa: S310 (an address of our own)
            f"{self.endpoint}/_ministack/config", method="POST",
            data=json.dumps({"cloudtrail._recording_enabled": str(on).lower()}).encode())
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            if not json.loads(answer.read())["applied"]:
                sys.exit("the engine keeps no journal")

    def sent(self, since: int) -> list[dict[str, Any]]:
        """What was sent to any queue since a moment (in ms) while the engine noted it, newest first."""
        credentials = botocore.credentials.Credentials("test", "test")
        found: dict[str, dict[str, Any]] = {}
        # Its answer has fifty at most, so the next one ends where the last one began.
        until = time.time() + 1
        while True:
            asked = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "SendMessage"}],
                     "StartTime": since / 1000, "EndTime": until}
            signed = botocore.awsrequest.AWSRequest("POST", self.endpoint, data=json.dumps(asked), headers={
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"})
            botocore.auth.SigV4Auth(credentials, "cloudtrail", REGION).add_auth(signed)
            request = urllib.request.Request(  # noqa: S310
                self.endpoint, method="POST", data=signed.body, headers=dict(signed.headers))
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                events = json.loads(answer.read())["Events"]
            new = [event for event in events if event["EventId"] not in found]
            if not new:
                return [json.loads(event["CloudTrailEvent"])["requestParameters"] for event in found.values()]
            found |= {event["EventId"]: event for event in new}
            until = min(event["EventTime"] for event in new)

    # ------------------------------------------------------------ stand-ins

    def start_stand_ins(self, binaries: Path) -> dict[str, str]:
        """Starts what plays shops and books. Where a program was rebuilt, the shop and the book of its dialect are started anew."""
        starting: dict[str, str | None] = {}
        versions: dict[str, str] = {}
        for name, stand_in in STAND_INS.items():
            program = binaries / stand_in.program
            if not program.exists():
                say(f"    {program} is not built: no {name}")
                continue
            version = versions[name] = " ".join([str(program.stat().st_mtime_ns), *stand_in.arguments])
            running = processes.find(self.records / f"{name}.json")
            starting[name] = None if running is not None and running["version"] == version else version
        # A shop whose book has forgotten it, and the other way round, would be a story of its own.
        for name in [name for name, version in starting.items() if version]:
            for other in (name.replace("shop", "book"), name.replace("book", "shop")):
                if other in starting:
                    starting[other] = versions[other]
        for name in [name for name, version in starting.items() if version]:
            processes.stop(self.records / f"{name}.json")
        new = [name for name, version in starting.items() if version]
        if new:
            with step(f"starting {', '.join(new)}"):
                for name in new:
                    self.start_stand_in(name, binaries, versions[name])
                for name in new:
                    wait_for(lambda name=name: listening(self.logs / f"{name}.log") is not None, 20, f"the {name}",
                             self.logs / f"{name}.log",
                             lambda name=name: processes.find(self.records / f"{name}.json") is not None)
        addresses = {}
        for name in starting:
            log = self.logs / f"{name}.log"
            address = listening(log)
            if address is None or not answers(f"{address}/_control/health"):
                sys.exit(f"the {name} does not answer; see {log}")
            addresses[STAND_INS[name].variable] = address
        return addresses

    def start_stand_in(self, name: str, binaries: Path, version: str) -> None:
        stand_in = STAND_INS[name]
        # Never where the last one was: one that has forgotten everything is another shop to whoever remembers that one.
        command = [str(binaries / stand_in.program), "--listen", f"127.0.0.1:{free_port()}", *stand_in.arguments]
        if stand_in.organisation:
            # The family of `v2` numbers its companies.
            numbered = stand_in.organisation == "--company-id"
            command += [stand_in.organisation, str(uuid.uuid4().int % 10**9) if numbered else uuid.uuid4().hex]
        log = self.logs / f"{name}.log"
        log.unlink(missing_ok=True)
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
        processes.start(self.records / f"{name}.json", command, environment, log, version=version)

    # ------------------------------------------------------------ commands

    def up(self, functions: Path, binaries: Path, parameters: dict[str, str], port: int | None, world: bool,
           fault_proxy: bool) -> None:
        fresh = not self.deployed.exists()
        self.start_engine(port, binaries if fault_proxy else None)
        # The stack's own address is known once it has been deployed; on AWS each request tells it.
        known = {"PublicUrl": self.url(self.outputs)} if self.describe() else {}
        self.deploy(functions, known | parameters)
        if not known and "PublicUrl" not in parameters:
            self.deploy(functions, {"PublicUrl": self.url(self.outputs)} | parameters)
        outputs = self.outputs
        key_id, secret = self.operator(outputs)
        endpoint = self.endpoint
        values = {
            "LEDGER_STACK": self.stack,
            "LEDGER_URL": self.url(outputs),
            "OIDC_ISSUER": outputs["OidcIssuer"],
            "OIDC_CLIENT_ID": outputs["OidcClientId"],
            "OPERATOR_TOKEN": self.token(ADMINISTRATOR, ["admin"]),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": secret,
            "KMS_KEY_ID": outputs["KeyId"],
            **{variable: outputs[output] for variable, output in (TABLES | QUEUES).items()},
            **{f"FUNCTION_{templates.folder_of(name.removesuffix('Name')).upper().replace('-', '_')}": value
               for name, value in outputs.items() if name.endswith("FunctionName")},
            **{f"LOG_GROUP_{templates.folder_of(name.removesuffix('LogGroupName')).upper().replace('-', '_')}": value
               for name, value in outputs.items() if name.endswith("LogGroupName")},
            "ENGINE_LOG": str(self.logs / "engine.log"),
        }
        if self.fault_proxy is not None:
            values["FAULT_PROXY_URL"] = self.fault_proxy
        if world:
            values |= self.start_stand_ins(binaries)
        others = {} if fresh else {
            name: value for name, value in read_env(self.env_file).items() if name not in values
        }
        write_env(self.env_file, values | others)
        say(f"    {self.env_file.relative_to(ROOT)} says how to reach it")

    def down(self, keep_state: bool) -> None:
        stopped = [name for name in STAND_INS if processes.stop(self.records / f"{name}.json")]
        stopped += ["engine"] if self.stop_engine() else []
        stopped += [FAULT_PROXY] if processes.stop(self.records / f"{FAULT_PROXY}.json") else []
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        if not keep_state:
            shutil.rmtree(self.folder / "engine", ignore_errors=True)
            self.env_file.unlink(missing_ok=True)
        say(f"    stack {self.name}: " + (f"stopped {', '.join(stopped)}" if stopped else "nothing was running"))

    def restart(self) -> None:
        """Ends the engine and starts it again on its state: what a redeployed or failed zone looks like to clients."""
        engine = self.engine
        if engine is None:
            sys.exit(f"stack {self.name} is not up")
        with step("stopping the engine"):
            self.stop_engine()
        self.start_engine(engine["port"])

    def status(self) -> int:
        running = 0
        for name in ("engine", FAULT_PROXY, *STAND_INS):
            entry = processes.find(self.records / f"{name}.json")
            running += entry is not None
            print(f"{name:15} {'pid ' + str(entry['pid']) if entry else 'not running'}")
        if self.engine is not None:
            described = self.describe()
            print(f"{'stack':15} {described['StackStatus'] if described else 'not deployed'}")
        return 0 if running else 1

    def sweep(self) -> int:
        """Runs the sweeper once, now, and shows its answer."""
        answer = self.client("lambda").invoke(FunctionName=self.outputs["SweeperFunctionName"], Payload=b"{}")
        print(answer["Payload"].read().decode())
        return 1 if answer.get("FunctionError") else 0

    def alarms(self, since: int) -> None:
        """Prints the alarms as they are deployed, by logical id, how many messages lie visibly in the dead letters' queue, and
        what the sweeper has written since a moment (in ms)."""
        outputs = self.outputs
        named = {}
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.stack)
        for resource in (resource for page in pages for resource in page["StackResourceSummaries"]):
            if resource["ResourceType"] == "AWS::CloudWatch::Alarm":
                named[resource["PhysicalResourceId"]] = resource["LogicalResourceId"]
        alarms = {}
        for page in self.client("cloudwatch").get_paginator("describe_alarms").paginate():
            for alarm in page["MetricAlarms"]:
                if alarm["AlarmName"] in named:
                    alarms[named[alarm["AlarmName"]]] = {
                        "namespace": alarm["Namespace"], "metric": alarm["MetricName"],
                        "dimensions": {it["Name"]: it["Value"] for it in alarm["Dimensions"]},
                        "actions": sorted({*alarm["AlarmActions"], *alarm["OKActions"]}),
                    }
        queue = self.client("sqs").get_queue_attributes(
            QueueUrl=outputs["DeadLetterQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"])
        lines = [event["message"]
                 for page in self.client("logs").get_paginator("filter_log_events").paginate(
                     logGroupName=outputs["SweeperLogGroupName"], startTime=since)
                 for event in page["events"]]
        print(json.dumps({
            "alarms": alarms, "topic": outputs["AlarmTopicArn"], "lines": lines,
            "visible": int(queue["Attributes"]["ApproximateNumberOfMessages"]),
        }))

    def ailing(self, folder: str, event: str) -> None:
        """Lets a function ail: what invocations come to, and what is counted of them. A copy of it ails, of the same package,
        role and variables, so that nobody else notices."""
        functions = self.client("lambda")
        output, = (name for name in self.outputs if name.endswith("FunctionName")
                   and templates.folder_of(name.removesuffix("Name")) == folder)
        usual = functions.get_function_configuration(FunctionName=self.outputs[output])
        known = json.loads((self.folder / "engine" / "code.json").read_text(encoding="utf-8"))
        name, variables = f"{usual['FunctionName']}-ailing", usual["Environment"]["Variables"]

        def asks() -> dict[str, Any]:
            try:
                answer = functions.invoke(FunctionName=name, Payload=event.encode())
            except botocore.exceptions.ClientError as error:
                return {"status": error.response["ResponseMetadata"]["HTTPStatusCode"], "code": error.response["Error"]["Code"]}
            return {"status": answer["StatusCode"], "error": answer.get("FunctionError"),
                    "told": answer["Payload"].read().decode()}

        def counted() -> dict[str, int]:
            now = time.time()
            return {metric: sum(int(point["Sum"]) for point in self.client("cloudwatch").get_metric_statistics(
                Namespace="AWS/Lambda", MetricName=metric, Dimensions=[{"Name": "FunctionName", "Value": name}],
                StartTime=now - 600, EndTime=now + 60, Period=60, Statistics=["Sum"])["Datapoints"])
                for metric in ("Errors", "Throttles")}

        def steps() -> Iterator[tuple[str, dict[str, Any]]]:
            def step_of(step: str) -> tuple[str, dict[str, Any]]:
                before = counted()
                come_to = asks()
                return step, come_to | {metric: count - before[metric] for metric, count in counted().items()}

            yield step_of("well")
            missing = {key: value for key, value in variables.items() if not key.startswith("TABLE_")}
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": missing})
            yield step_of("cannot start")
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
            yield step_of("starts again")
            functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
            yield step_of("may not run")
            functions.delete_function_concurrency(FunctionName=name)
            yield step_of("may run again")

        with tools.lock(f"stack-{self.name}-{folder}-ailing"):
            try:
                functions.delete_function(FunctionName=name)
            except functions.exceptions.ResourceNotFoundException:
                pass
            functions.create_function(
                FunctionName=name, Role=usual["Role"], Runtime=usual["Runtime"], Handler=usual["Handler"],
                Code={"S3Bucket": BUCKET, "S3Key": known[output.removesuffix("Name")]["key"]}, Timeout=usual["Timeout"],
                MemorySize=usual["MemorySize"], Environment={"Variables": variables},
            )
            try:
                print(json.dumps(dict(steps())))
            finally:
                functions.delete_function(FunctionName=name)

    def strict(self, method: str, path: str, body: str) -> int:
        """Asks the API as it is deployed on AWS: the same package, role and tables, without AllowPrivateAddresses."""
        functions = self.client("lambda")
        usual = functions.get_function_configuration(FunctionName=self.outputs["ApiFunctionName"])
        name = f"{usual['FunctionName']}-strict"
        with tools.lock(f"stack-{self.name}-strict"):
            known = json.loads((self.folder / "engine" / "code.json").read_text(encoding="utf-8"))
            key = known["ApiFunction"]["key"]
            try:
                there = functions.get_function_configuration(FunctionName=name)
                if there.get("Description") != key:
                    functions.delete_function(FunctionName=name)
            except functions.exceptions.ResourceNotFoundException:
                there = {}
            if there.get("Description") != key:
                variables = usual["Environment"]["Variables"] | {"ALLOW_PRIVATE_ADDRESSES": "false"}
                functions.create_function(
                    FunctionName=name, Role=usual["Role"], Runtime=usual["Runtime"], Handler=usual["Handler"],
                    Code={"S3Bucket": BUCKET, "S3Key": key}, Description=key, Timeout=usual["Timeout"],
                    MemorySize=usual["MemorySize"], Environment={"Variables": variables},
                )
        headers = {
            "Authorization": f"Bearer {read_env(self.env_file)['OPERATOR_TOKEN']}",
            "Content-Type": "application/json",
            "Host": "localhost",
        }
        address, _, query = path.partition("?")
        asked = {name: value for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)}
        event = {
            "resource": "/{proxy+}", "path": address, "httpMethod": method, "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": asked or None,
            "multiValueQueryStringParameters": {name: [value] for name, value in asked.items()} or None,
            "pathParameters": {"proxy": address.lstrip("/")}, "stageVariables": None,
            "requestContext": {
                "resourceId": "strict", "resourcePath": "/{proxy+}", "httpMethod": method, "path": f"/live{address}",
                "accountId": ACCOUNT, "protocol": "HTTP/1.1", "stage": "live", "requestId": str(uuid.uuid4()),
                "requestTimeEpoch": int(time.time() * 1000), "identity": {"sourceIp": "127.0.0.1"}, "apiId": "strict",
            },
            "body": body or None, "isBase64Encoded": False,
        }
        answer = functions.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        told = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            sys.exit(f"{name}: {told}")
        print(json.dumps({"status": told["statusCode"], "body": json.loads(told["body"])}))
        return 0


def operator_policy(stack: str, outputs: dict[str, str]) -> dict[str, Any]:
    """What the command line and the tests may do with a stack."""

    def arn(service: str, resource: str) -> str:
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"

    tables = [arn("dynamodb", f"table/{outputs[output]}") for output in TABLES.values()]
    queues = [arn("sqs", outputs[output].rpartition("/")[2]) for output in QUEUES.values()]
    functions = [arn("lambda", f"function:{value}") for name, value in outputs.items() if name.endswith("FunctionName")]
    logs = [arn("logs", f"log-group:{value}:*") for name, value in outputs.items() if name.endswith("LogGroupName")]

    def allow(actions: list[str], resources: list[str]) -> dict[str, Any]:
        return {"Effect": "Allow", "Action": actions, "Resource": resources}

    return {
        "Version": "2012-10-17",
        "Statement": [
            allow([f"dynamodb:{action}" for action in (
                "BatchGetItem", "BatchWriteItem", "ConditionCheckItem", "DeleteItem", "DescribeTable", "GetItem",
                "PutItem", "Query", "Scan", "UpdateItem")], tables + [f"{table}/index/*" for table in tables]),
            allow(["kms:Decrypt", "kms:Encrypt"], [arn("kms", f"key/{outputs['KeyId']}")]),
            allow([f"sqs:{action}" for action in (
                "ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "PurgeQueue", "ReceiveMessage",
                "SendMessage")], queues),
            allow(["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"], functions),
            allow(["logs:FilterLogEvents"], logs),
            allow(["cloudformation:DescribeStacks"], [arn("cloudformation", f"stack/{stack}/*")]),
        ],
    }


def package(binary: Path) -> bytes:
    """A deployment package of one binary, without debug information: it makes quick builds ten times as large."""
    content = binary.read_bytes()
    if content[:4] == b"\x7fELF" and shutil.which("strip"):
        stripped = subprocess.run(["strip", "--strip-debug", "-o", "/dev/stdout", str(binary)],
                                  capture_output=True, check=False)
        content = stripped.stdout if stripped.returncode == 0 and stripped.stdout else content
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        # A fixed date: the same binary is the same package.
        entry = zipfile.ZipInfo("bootstrap", (2020, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(entry, content)
    return buffer.getvalue()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 (an address of our own)
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def listening(log: Path) -> str | None:
    """A stand-in's first line says where it listens."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.search(r'"listening"\s*:\s*"([^"]+)"', line)
        if match:
            return match[1]
    return None


def wait_for(condition: Any, seconds: float, what: str, log: Path | None = None, alive: Any = lambda: True) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end or not alive():
            if log is not None and log.exists():
                say("\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]))
            sys.exit(f"{what} did not become ready")
        time.sleep(0.1)


def read_env(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def write_env(path: Path, values: dict[str, str]) -> None:
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="default", help="which stack; its files are in .local/NAME")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start and deploy, or bring to the newest binaries and parameters")
    up.add_argument("--functions", type=Path, default=ROOT / "target" / "lambda", help="folders with a bootstrap each")
    up.add_argument("--binaries", type=Path, default=ROOT / "target" / "debug", help="where the stand-ins were built")
    up.add_argument("--params", nargs="*", default=[], metavar="KEY=VALUE", help="parameters of the template")
    up.add_argument("--port", type=int, help="the engine's port; a free one by default")
    up.add_argument("--no-world", action="store_true", help="start no shops and no books")
    up.add_argument("--fault-proxy", action="store_true",
                    help="functions reach the engine through a proxy that can make it as unreliable as AWS")
    down = commands.add_parser("down", help="stop everything that up started")
    down.add_argument("--keep-state", action="store_true", help="a later up goes on where this ended")
    token = commands.add_parser("token", help="print an access token of an operator who is in these groups")
    token.add_argument("user")
    token.add_argument("groups", nargs="*", metavar="GROUP")
    token.add_argument("--kind", choices=TOKENS, default="access", help="all but the first must not count")
    user = commands.add_parser("user", help="make an operator for `ledger login`, or give one a new password; prints it")
    user.add_argument("user")
    user.add_argument("groups", nargs="*", metavar="GROUP")
    dump = commands.add_parser("dump", help="print all items, messages and log lines, one a line")
    dump.add_argument("--since", type=int, default=0, metavar="MS", help="log lines and sent messages since this moment only")
    journal = commands.add_parser("journal", help="let the engine note every call, so that dump has the messages that were sent")
    journal.add_argument("state", choices=["on", "off"])
    commands.add_parser("restart", help="end the engine and start it again on its state")
    commands.add_parser("status", help="what is running")
    commands.add_parser("sweep", help="run the sweeper once")
    commands.add_parser("env", help="print the stack's environment file")
    alarms = commands.add_parser("alarms", help="print the deployed alarms, and what the sweeper wrote")
    alarms.add_argument("--since", type=int, default=0, metavar="MS", help="lines since this moment only")
    ailing = commands.add_parser("ailing", help="let a copy of a function fail and be throttled; what that is counted as")
    ailing.add_argument("folder")
    ailing.add_argument("event", help="as JSON")
    strict = commands.add_parser("strict", help="ask the API as it is without AllowPrivateAddresses, as the administrator")
    strict.add_argument("method")
    strict.add_argument("path")
    strict.add_argument("body", nargs="?", default="")
    run = commands.add_parser("run", help="run a command with the stack's environment")
    run.add_argument("arguments", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", arguments.name) or arguments.name in ("venv", "run", "logs", "engine"):
        parser.error("a stack's name is short, lower case, and not one of .local's own folders")

    stack = Stack(arguments.name)
    match arguments.command:
        case "up":
            with tools.lock(f"stack-{arguments.name}"):
                parameters = dict(pair.split("=", 1) for pair in arguments.params)
                stack.up(arguments.functions, arguments.binaries, parameters, arguments.port, not arguments.no_world,
                         arguments.fault_proxy)
        case "down":
            with tools.lock(f"stack-{arguments.name}"):
                stack.down(arguments.keep_state)
        case "restart":
            with tools.lock(f"stack-{arguments.name}"):
                stack.restart()
        case "status":
            return stack.status()
        case "token":
            print(stack.token(arguments.user, arguments.groups, arguments.kind))
        case "user":
            print(stack.user(arguments.user, arguments.groups))
        case "journal":
            stack.journal(arguments.state == "on")
        case "dump":
            stack.dump(arguments.since)
        case "sweep":
            return stack.sweep()
        case "alarms":
            stack.alarms(arguments.since)
        case "ailing":
            stack.ailing(arguments.folder, arguments.event)
        case "strict":
            return stack.strict(arguments.method, arguments.path, arguments.body)
        case "env":
            print(stack.env_file.read_text(encoding="utf-8"), end="")
        case "run":
            words = arguments.arguments[1:] if arguments.arguments[:1] == ["--"] else arguments.arguments
            os.execvpe(words[0], words, os.environ | read_env(stack.env_file))
    return 0


if __name__ == "__main__":
    sys.exit(main())
