"""`python -m benchmarks [NAME …]`: run the benchmarks in turn and print what they measured.

A benchmark is a module of this folder with a `main()`. Run on a machine that does nothing else.
"""

from __future__ import annotations

import importlib
import platform
import subprocess
import sys

NAMES = (
    *(
        "collector",
        "overload",
        "pieces",
        "whole_way",
        "load_formats",
        "enrichment",
        "outage",
        "final",
        "growth",
        "sustained",
    ),
    *("planning", "views", "validate", "plan_lock", "plan_diff", "plan_simulate"),
)


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all."""
    unknown = [name for name in arguments if name not in NAMES]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(f"{platform.machine()}, Python {platform.python_version()}, commit {commit.stdout.strip() or 'unknown'}")
    for name in arguments or NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"\n== {name}\n{(module.__doc__ or '').strip()}\n")
        module.main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
