"""Plants one mistake after another in the engine and says who notices.

Everything is built once; which mistake is made, is chosen when a test runs. Unit, property and conformance tests, and the checks of
the engine's ports over those in memory, run with each mistake; the simulation lives worlds until the first that shows it.
Fails with fewer than twelve mistakes, where the simulation misses one within 2,000 seeds, or notices fewer than eight alone.

    planted.py [MISTAKE…]
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SEEDS = 2_000
MISTAKES_MIN = 12
ALONE_MIN = 8
# Packages whose tests need neither a stack nor a network. The whole worlds among the simulation's tests are asked by seed instead.
PACKAGES = ["domain", "wire", "dialects", "engine", "http", "routes", "conformance", "simulation"]
WORLDS = "worlds"
FEATURES = ["--features", "ledger-engine/planted,ledger-simulation/planted"]
# Of the whole worlds.
PROFILE = "quick"
# Cases of one property: a mistake in the engine shows in few, or in none.
PROPERTY_CASES = "64"
# A test program that takes longer than that, in seconds, has noticed: it does not end.
TIME_OUT_SECONDS = 120


@dataclass(frozen=True)
class Program:
    """A built test program, and the folder of its package."""

    path: str
    folder: str
    name: str


@dataclass(frozen=True)
class Noticed:
    """Who notices a mistake."""

    mistake: str
    seed: int | None
    what: str
    tests: list[str]


def mistakes() -> list[str]:
    text = (ROOT / "shared/engine/src/planted.rs").read_text()
    return re.findall(r'=> "([a-z_]+)"', text)


def cargo(*words: str) -> str:
    return subprocess.run(["cargo", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def programs() -> Iterator[Program]:
    chosen = [word for name in PACKAGES for word in ("--package", f"ledger-{name}")]
    told = cargo("test", "--quiet", "--no-run", "--message-format", "json", *chosen, *FEATURES)
    for line in told.splitlines():
        message = json.loads(line)
        if message.get("reason") != "compiler-artifact" or not message["profile"]["test"] or not message["executable"]:
            continue
        target = message["target"]["name"]
        if target != WORLDS:
            yield Program(message["executable"], str(Path(message["manifest_path"]).parent), target)


def failures(program: Program, mistake: str) -> list[str]:
    """The tests of a program that fail with a mistake."""
    environment = os.environ | {"LEDGER_PLANTED": mistake, "PROPTEST_CASES": PROPERTY_CASES, "INSTA_UPDATE": "no"}
    try:
        done = subprocess.run([program.path, "--quiet"], cwd=program.folder, env=environment, capture_output=True, text=True,
                              timeout=TIME_OUT_SECONDS)
    except subprocess.TimeoutExpired:
        return [f"{program.name} does not end"]
    if done.returncode == 0:
        return []
    # Names stand by themselves under the last `failures:`.
    failed = re.findall(r"^    ([\w:]+)$", done.stdout.rpartition("failures:")[2], re.MULTILINE)
    return failed or [f"{program.name} ends with {done.returncode}"]


def tests_notice(built: list[Program], mistake: str) -> list[str]:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return sorted(name for names in pool.map(lambda it: failures(it, mistake), built) for name in names)


def world_notices(mistake: str) -> tuple[int | None, str]:
    """The first seed that shows a mistake, and what it shows."""
    binary = ROOT / "target" / PROFILE / "ledger-simulation"
    environment = {name: value for name, value in os.environ.items() if name != "LEDGER_PLANTED"}
    done = subprocess.run([str(binary), "planted", mistake, str(SEEDS)], cwd=ROOT, env=environment, capture_output=True, text=True)
    found = re.search(r"noticed by seed (\d+), (\w+)", done.stdout)
    return (int(found[1]), found[2]) if found else (None, "-")


def main() -> int:
    wanted = sys.argv[1:] or mistakes()
    if unknown := set(wanted) - set(mistakes()):
        sys.exit(f"no mistake {', '.join(sorted(unknown))}")
    built = sorted(programs(), key=lambda it: it.name)
    cargo("build", "--quiet", "--profile", PROFILE, "--package", "ledger-simulation", "--features", "planted")
    if broken := tests_notice(built, ""):
        sys.exit(f"tests fail without any mistake: {broken}")
    rows: list[Noticed] = []
    for mistake in wanted:
        began = time.monotonic()
        tests = tests_notice(built, mistake)
        seed, what = world_notices(mistake)
        rows.append(Noticed(mistake, seed, what, tests))
        print(f"{mistake}: seed {seed} ({what}); tests: {', '.join(tests) or 'none'}; {time.monotonic() - began:.0f} s", flush=True)
    print()
    print("| mistake | first seed | seen as | tests that notice |")
    print("|---|---|---|---|")
    for row in rows:
        names = ", ".join(f"`{name.rpartition('::')[2]}`" for name in row.tests[:2])
        more = f" and {len(row.tests) - 2} more" if len(row.tests) > 2 else ""
        print(f"| {row.mistake.replace('_', ' ')} | {row.seed or 'none'} | `{row.what}` | {names + more or 'none'} |")
    seen = sum(row.seed is not None for row in rows)
    alone = sum(row.seed is not None and not row.tests for row in rows)
    noticed = sum(bool(row.tests) for row in rows)
    print()
    print(f"planted: mistakes={len(rows)} simulation={seen} tests={noticed} simulation_alone={alone}")
    whole = len(wanted) == len(mistakes())
    enough = not whole or (len(rows) >= MISTAKES_MIN and alone >= ALONE_MIN)
    return 0 if seen == len(rows) and enough else 1


if __name__ == "__main__":
    sys.exit(main())
