#!/usr/bin/env python3
"""Every fuzz target under libFuzzer for a while, guided by coverage, on the pinned stable compiler.

What is found is kept under target/fuzz/finds and belongs, mended, into tests/fuzz/corpus. What reaches new code is kept under
target/fuzz/corpus; `--keep` takes a selection of it into tests/fuzz/corpus.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "fuzz"
COMMITTED = ROOT / "tests" / "fuzz" / "corpus"
# The coverage that libFuzzer reads. All of these are stable options of the compiler.
COVERAGE = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
]
# Bytes of the longest input: a delivery's body may have 64 KiB; longer ones only slow the search.
INPUT_BYTES_MAX = 16_384
# Seconds that one input may take.
INPUT_SECONDS_MAX = 10
# Inputs that a target's committed corpus gets at most from one search: enough to begin from, few enough to keep.
KEPT_MAX = 40
# Megabytes that one target may use.
MEMORY_MB_MAX = 2_048


def host() -> str:
    """The machine's own target triple: naming it keeps coverage out of build scripts."""
    told = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return re.search(r"^host: (\S+)$", told, re.MULTILINE).group(1)


def build() -> Path:
    triple = host()
    environment = {**os.environ, "RUSTFLAGS": " ".join(COVERAGE), "CARGO_TARGET_DIR": str(WORK / "build")}
    command = ["cargo", "build", "--quiet", "--profile", "fuzz", "--target", triple]
    subprocess.run(
        [*command, "--package", "ledger-fuzz", "--features", "libfuzzer"], check=True, cwd=ROOT, env=environment
    )
    return WORK / "build" / triple / "fuzz" / "ledger-fuzz"


def targets(program: Path) -> list[str]:
    told = subprocess.run([program], capture_output=True, text=True, env={"FUZZ_TARGET": ""}).stderr
    return re.search(r"FUZZ_TARGET is one of (.*)", told).group(1).split(", ")


def run(program: Path, target: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "FUZZ_TARGET": target, "RUST_BACKTRACE": "1"},
    )


def search(program: Path, target: str, seconds: int) -> bool:
    grown, finds = WORK / "corpus" / target, WORK / "finds" / target
    grown.mkdir(parents=True, exist_ok=True)
    finds.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}", f"-timeout={INPUT_SECONDS_MAX}"]
    limits += [f"-rss_limit_mb={MEMORY_MB_MAX}", "-print_final_stats=1", f"-artifact_prefix={finds}/"]
    ended = run(program, target, str(grown), str(COMMITTED / target), *limits)
    if ended.returncode != 0:
        print(f"{target}: a find\n{ended.stderr[-6_000:]}", flush=True)
        return False
    tried = re.search(r"stat::number_of_executed_units:\s*(\d+)", ended.stderr)
    covered = re.findall(r"cov: (\d+)", ended.stderr)
    print(f"{target:<16} {int(tried.group(1)):>12,} inputs, {covered[-1] if covered else 0:>6} places reached", flush=True)
    return True


def keep(program: Path, target: str) -> None:
    """Takes a selection, of all sizes, of the fewest inputs that reach everything that is reached."""
    kept = WORK / "kept" / target
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    run(program, target, "-set_cover_merge=1", str(kept), str(COMMITTED / target), str(WORK / "corpus" / target))
    found = sorted(kept.iterdir(), key=lambda path: (path.stat().st_size, path.name))
    every = max(1, -(-len(found) // KEPT_MAX))
    for path in found[::every]:
        shutil.copy(path, COMMITTED / target / path.name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", action="store_true", help="take what was reached into the committed corpus")
    parser.add_argument("targets", nargs="*")
    chosen = parser.parse_args()
    program = build()
    names = chosen.targets or targets(program)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        good = list(pool.map(lambda target: search(program, target, chosen.seconds), names))
    if chosen.keep:
        for target in names:
            keep(program, target)
    print(f"fuzz: targets={len(names)} seconds_each={chosen.seconds} finds={good.count(False)}")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
