"""Background processes that outlive the command that started them, found again by record files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any


def _started_at(pid: int) -> str | None:
    """When a living process began: tells it from a later one that was given the same number."""
    result = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, began = result.stdout.strip().partition(" ")
    # One that is dead but not collected by its parent still has its number.
    return began.strip() if began and not state.startswith("Z") else None


def start(record: Path, command: list[str], environment: dict[str, str], log: Path, **facts: Any) -> dict[str, Any]:
    """Starts a process in a session of its own and writes down how to find it."""
    record.parent.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    entry = {"pid": process.pid, "started_at": _started_at(process.pid), "log": str(log), **facts}
    record.write_text(json.dumps(entry), encoding="utf-8")
    return entry


def find(record: Path) -> dict[str, Any] | None:
    """What a record says, if that process still runs."""
    try:
        entry = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    alive = entry["started_at"] is not None and _started_at(entry["pid"]) == entry["started_at"]
    return entry if alive else None


def stop(record: Path, patience: float = 15.0) -> bool:
    """Asks a process to end and, when it does not, ends its whole session; says whether there was one."""
    entry = find(record)
    if entry is not None:
        _signal(os.kill, entry["pid"], signal.SIGTERM)
        _wait(record, patience)
        # Children may be left even where the process itself obeyed.
        _signal(os.killpg, entry["pid"], signal.SIGKILL)
        _wait(record, 5.0)
    record.unlink(missing_ok=True)
    return entry is not None


def _signal(send: Any, pid: int, number: int) -> None:
    try:
        send(pid, number)
    except ProcessLookupError:
        pass


def _wait(record: Path, patience: float) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        entry = find(record)
        if entry is None:
            return
        try:
            # Where this very command started it, its end has to be collected or it stays as a zombie.
            os.waitpid(entry["pid"], os.WNOHANG)
        except ChildProcessError:
            pass
        time.sleep(0.05)
