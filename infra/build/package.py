"""Builds every function for AWS with one `cargo lambda build` and hands one of them to the caller.

    package.py [<LogicalId> <target folder>]

The architecture is LEDGER_ARCHITECTURE (x86_64 or arm64) and has to be the stack's parameter of that name.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

import tools  # noqa: E402

# Amazon Linux 2023, on which `provided.al2023` runs.
NEWEST_GLIBC = (2, 34)
# Beside `target/lambda`, where local stacks keep their quick builds: neither is ever taken for the other.
SHIPPED = ROOT / "target" / "ship"


def folders() -> list[str]:
    """Every folder under `functions/` is a function of the same name."""
    return sorted(manifest.parent.name for manifest in (ROOT / "functions").glob("*/Cargo.toml"))


def logical_id(folder: str) -> str:
    return "".join(word.capitalize() for word in folder.split("-")) + "Function"


def build(architecture: str) -> None:
    """A call of `sam build` for each function comes here, one after another; cargo finds nothing to do from the second on."""
    binaries = tools.ensure("ship")
    environment = dict(os.environ, PATH=f"{binaries}{os.pathsep}{os.environ['PATH']}")
    command = ["cargo", "lambda", "build", "--release", "--locked", "--lambda-dir", str(SHIPPED)]
    command.append({"x86_64": "--x86-64", "arm64": "--arm64"}[architecture])
    for folder in folders():
        command += ["--package", f"ledger-{folder}"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def refuse_newer_glibc(binary: Path) -> None:
    """A binary that needs a newer C library than Lambda has would fail at its first invocation."""
    found = re.findall(rb"GLIBC_(\d+)\.(\d+)", binary.read_bytes())
    needed = max(((int(major), int(minor)) for major, minor in found), default=(0, 0))
    if needed > NEWEST_GLIBC:
        sys.exit(f"{binary} needs glibc {needed[0]}.{needed[1]}, Lambda has {NEWEST_GLIBC[0]}.{NEWEST_GLIBC[1]}")


def main() -> None:
    architecture = os.environ.get("LEDGER_ARCHITECTURE") or "x86_64"
    if architecture not in ("x86_64", "arm64"):
        sys.exit("LEDGER_ARCHITECTURE is x86_64 or arm64")
    with tools.lock("ship"):
        build(architecture)
        for folder in folders():
            refuse_newer_glibc(SHIPPED / folder / "bootstrap")
        if len(sys.argv) > 1:
            wanted, artifacts = sys.argv[1], Path(sys.argv[2])
            folder = {logical_id(name): name for name in folders()}.get(wanted)
            if folder is None:
                sys.exit(f"no folder under functions/ is called like {wanted}")
            artifacts.mkdir(parents=True, exist_ok=True)
            shutil.copy(SHIPPED / folder / "bootstrap", artifacts / "bootstrap")


if __name__ == "__main__":
    main()
