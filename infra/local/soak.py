"""`make soak`: the deployed stack under load while everything goes wrong, on a stack of its own with a fault proxy.

    soak.py [--deliveries N] [--seed SEED] [--keep] [ARGUMENTS of ledger-soak…]
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from tools import LOCAL, ROOT

NAME = "soak"
STACK = [sys.executable, str(ROOT / "infra" / "local" / "stack.py"), "--name", NAME]
# So that what takes minutes on AWS takes seconds here. A worker keeps its timeout, and a killed one its claim on the book for
# as long: by then the book's minute is over too.
PARAMETERS = {
    "ChipHeldSeconds": "2",
    "GiveBackSeconds": "1",
    "LeaseWaitSeconds": "1",
    "QueueVisibilitySeconds": "5",
    "RetryScalePercent": "2",
    "SettleScalePercent": "1",
    "ShopRevokedSeconds": "30",
    "StallSeconds": "5",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the stack as it is at the end")
    known, others = parser.parse_known_args()
    subprocess.run([*STACK, "down"], cwd=ROOT, check=True)
    try:
        subprocess.run([*STACK, "up", "--no-world", "--fault-proxy", "--params",
                        *(f"{name}={value}" for name, value in PARAMETERS.items())], cwd=ROOT, check=True)
        return subprocess.run(
            [str(ROOT / "target" / "debug" / "ledger-soak"), "--stack-env", str(LOCAL / NAME / "stack.env"),
             "--deliveries", str(known.deliveries), "--seed", str(known.seed), *others],
            cwd=ROOT, check=False).returncode
    finally:
        if not known.keep:
            subprocess.run([*STACK, "down"], cwd=ROOT, check=False)


if __name__ == "__main__":
    sys.exit(main())
