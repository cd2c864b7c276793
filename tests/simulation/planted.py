"""Plants one mistake after another in the engine and says which tests notice.

Unit, property and conformance tests run once with each mistake, the simulation until the first seed that shows it.
Fails where the simulation misses one within 2,000 seeds, or finds fewer than eight alone.

    planted.py [MISTAKE…]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SEEDS = 2_000
ALONE_MIN = 8
PACKAGES = ["domain", "wire", "dialects", "engine", "conformance"]
SUITES = ["cargo", "test", "--quiet", "--no-fail-fast", *(word for name in PACKAGES for word in ("--package", f"ledger-{name}")),
          "--features", "ledger-engine/planted"]
WORLDS = ["cargo", "run", "--quiet", "--profile", "quick", "--package", "ledger-simulation", "--features", "planted", "--"]


def mistakes() -> list[str]:
    text = (ROOT / "shared/engine/src/planted.rs").read_text()
    return re.findall(r'=> "([a-z_]+)"', text)


def suites_notice(mistake: str) -> list[str]:
    """The tests that fail with a mistake."""
    done = subprocess.run(SUITES, cwd=ROOT, env=os.environ | {"LEDGER_PLANTED": mistake}, capture_output=True, text=True)
    failed = sorted(set(re.findall(r"^    (\S+)$", done.stdout, re.MULTILINE)))
    return failed or ([] if done.returncode == 0 else [done.stderr.strip().splitlines()[-1]])


def world_notices(mistake: str) -> tuple[bool, str]:
    done = subprocess.run([*WORLDS, "planted", mistake, str(SEEDS)], cwd=ROOT, capture_output=True, text=True)
    line = (done.stdout.strip().splitlines() or [done.stderr.strip()[-300:]])[-1]
    return done.returncode == 0, line


def main() -> int:
    wanted = sys.argv[1:] or mistakes()
    if unknown := set(wanted) - set(mistakes()):
        sys.exit(f"no mistake {', '.join(sorted(unknown))}")
    if broken := suites_notice(""):
        sys.exit(f"tests fail without any mistake: {broken}")
    seen, noticed, alone = 0, 0, 0
    for mistake in wanted:
        tests = suites_notice(mistake)
        found, line = world_notices(mistake)
        seen += found
        noticed += bool(tests)
        alone += found and not tests
        print(line, flush=True)
        print(f"         tests: {', '.join(tests) if tests else 'none'}", flush=True)
    print(f"planted: mistakes={len(wanted)} simulation={seen} tests={noticed} simulation_alone={alone}")
    whole = len(wanted) == len(mistakes())
    return 0 if seen == len(wanted) and (not whole or alone >= ALONE_MIN) else 1


if __name__ == "__main__":
    sys.exit(main())
