"""The project's pinned Python tools, one virtual environment per purpose under `.local/venv`."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
REQUIREMENTS = Path(__file__).resolve().parent / "requirements"


def say(text: str) -> None:
    """Progress goes to stderr, so that results on stdout can be piped."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Announces a step and, when it is done, how long it took."""
    say(f"==> {text}")
    started = time.monotonic()
    yield
    say(f"    done in {time.monotonic() - started:.1f} s")


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """One process at a time: several `make` targets may ask for the same thing at once."""
    LOCAL.mkdir(exist_ok=True)
    with open(LOCAL / f"{name}.lock", "w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def ensure(purpose: str) -> Path:
    """Installs `requirements/<purpose>.txt` unless that very file is installed already; returns the `bin` folder."""
    if sys.version_info < (3, 10):
        sys.exit("Python 3.10 or newer is needed")
    requirements = REQUIREMENTS / f"{purpose}.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    folder = LOCAL / "venv" / purpose
    stamp = folder / "installed"
    with lock(f"venv-{purpose}"):
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            with step(f"installing {requirements.relative_to(ROOT)} into {folder.relative_to(ROOT)}"):
                shutil.rmtree(folder, ignore_errors=True)
                venv.create(folder, with_pip=True)
                pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
                subprocess.run([*pip, "--quiet", "--progress-bar=off", "-r", str(requirements)], check=True)
                stamp.write_text(wanted, encoding="utf-8")
    return folder / "bin"


def run_inside(purpose: str) -> None:
    """Continues this very program with the Python of a purpose's environment."""
    binaries = ensure(purpose)
    if Path(sys.prefix).resolve() != binaries.parent.resolve():
        os.execv(binaries / "python", [str(binaries / "python"), *sys.argv])


if __name__ == "__main__":
    for wanted_purpose in sys.argv[1:]:
        print(ensure(wanted_purpose))
