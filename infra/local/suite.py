"""Every check and test, step by step, with the time each took.

    suite.py [STEP…]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import tools
from tools import LOCAL, ROOT, say

STACK = [sys.executable, str(ROOT / "infra" / "local" / "stack.py"), "--name", "test"]
STACK_ENV = LOCAL / "test" / "stack.env"
# So that what takes minutes on AWS takes seconds here. A worker keeps its timeout: it starts no write without time
# enough to finish it. A killed worker's message comes back soon instead, which the local engine allows.
PARAMETERS = {
    "ChipHeldSeconds": "2",
    "GiveBackSeconds": "1",
    "LeaseWaitSeconds": "2",
    "QueueVisibilitySeconds": "5",
    "RetryScalePercent": "2",
    "SettleScalePercent": "1",
    "ShopRevokedSeconds": "3",
    "StallSeconds": "3",
    # The tests sweep when they want to.
    "SweeperScheduleState": "DISABLED",
}


def run(*command: str, **environment: str) -> None:
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True)


def template() -> None:
    """cfn-lint, SAM's own validation, and what the template promises."""
    binaries = tools.ensure("check")
    run(str(binaries / "cfn-lint"), "template.yaml")
    run(str(binaries / "sam"), "validate", "--lint", "--template", "template.yaml",
        AWS_DEFAULT_REGION="eu-west-1", SAM_CLI_TELEMETRY="0", HOME=str(LOCAL))
    run(str(binaries / "python"), "-m", "unittest", "discover", "--start-directory", "tests/template",
        PYTHONDONTWRITEBYTECODE="1")


def formatting() -> None:
    run("cargo", "fmt", "--all", "--check")


def lints() -> None:
    """With the mistakes that can be planted: else nobody would notice that they don't compile any more."""
    run("cargo", "clippy", "--workspace", "--all-targets", "--features", "ledger-engine/planted,ledger-simulation/planted",
        "--", "-D", "warnings")


def build() -> None:
    run("make", "build-local")


def stack() -> None:
    """A fresh stack for the end-to-end tests."""
    run(*STACK, "down")
    run(*STACK, "up", "--params", *(f"{name}={value}" for name, value in PARAMETERS.items()))


def tests() -> None:
    runner = ["nextest", "run", "--no-fail-fast"] if shutil.which("cargo-nextest") else ["test", "--no-fail-fast"]
    run("cargo", *runner, "--workspace", LEDGER_TEST_STACK_ENV=str(STACK_ENV))


def one_test(name: str, **environment: str) -> None:
    """One of the end-to-end tests, with more to do than beside all others."""
    runner = ["nextest", "run"] if shutil.which("cargo-nextest") else ["test"]
    run("cargo", *runner, "--package", "ledger-suite", "--test", "all", name,
        LEDGER_TEST_STACK_ENV=str(STACK_ENV), **environment)


def moved() -> None:
    """A shop with so many documents moves over from another service."""
    one_test("moves_over", LEDGER_MOVED_DOCUMENTS=os.environ.get("LEDGER_MOVED_DOCUMENTS", "300"))


def previewed() -> None:
    """So many orders are previewed, then sent."""
    one_test("shown_in_a_preview", LEDGER_PREVIEWED_ORDERS=os.environ.get("LEDGER_PREVIEWED_ORDERS", "200"))


def api() -> None:
    """Generated requests against the deployed API. Last: it disconnects what the tests have paired."""
    run(sys.executable, "infra/local/api.py", "--name", "test", "--cases", os.environ.get("LEDGER_API_CASES", "1000"))


STEPS: dict[str, Callable[[], None]] = {
    "formatting": formatting,
    "template": template,
    "lints": lints,
    "build": build,
    "stack": stack,
    "tests": tests,
    "api": api,
}
# Steps that take many minutes, because a book is asked no more often in a minute than its provider allows.
LONG_STEPS: dict[str, Callable[[], None]] = {
    "moved": moved,
    "previewed": previewed,
}


def main() -> int:
    wanted = sys.argv[1:] or list(STEPS)
    steps = STEPS | LONG_STEPS
    unknown = [name for name in wanted if name not in steps]
    if unknown:
        sys.exit(f"no step {', '.join(unknown)}; there are {', '.join(steps)}")
    took: dict[str, float] = {}
    failed = None
    try:
        for number, name in enumerate(wanted, start=1):
            say(f"==> {number}/{len(wanted)} {name}")
            started = time.monotonic()
            try:
                steps[name]()
            except subprocess.CalledProcessError as error:
                failed = name
                say(f"    {' '.join(str(word) for word in error.cmd)} ended with {error.returncode}")
                break
            finally:
                took[name] = time.monotonic() - started
    finally:
        if "stack" in took:
            subprocess.run([*STACK, "down"], cwd=ROOT, check=False)
    say("")
    for name in wanted:
        outcome = "FAILED" if name == failed else "ok" if name in took else "not run"
        say(f"    {name:12} {took.get(name, 0):7.1f} s  {outcome}")
    say(f"    {'together':12} {sum(took.values()):7.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
