"""What importing ranlen costs, beside torch, which it does without: `python -m benchmarks.imports`.

CPU time of whole processes, best of several, so that other load on the machine counts for little; then the modules that
`-X importtime` finds dearest.
"""

from __future__ import annotations

import resource
import subprocess
import sys

TORCH = "import torch"
BARE = "import ranlen"
ALL = "import ranlen; [getattr(ranlen, name) for name in ranlen.__all__ if name not in ('Enhancer', 'convert')]"
ROUNDS = 7


def cpu_ms(code: str) -> float:
    """Milliseconds of CPU that a process takes for some code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def dearest(code: str, count: int = 5) -> list[tuple[float, str]]:
    """Modules that take longest by themselves: milliseconds, name."""
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if "|" in line]
    return sorted(((int(row[0]) / 1000, row[2].strip()) for row in rows[1:]), reverse=True)[:count]


def main() -> None:
    """Print the table."""
    best = {code: min(cpu_ms(code) for _ in range(ROUNDS)) for code in ("pass", BARE, TORCH, ALL)}
    print(f"import ranlen, nothing used yet     {best[BARE] - best['pass']:7.1f} ms")
    print(f"import torch                        {best[TORCH] - best['pass']:7.1f} ms")
    print(f"every public name that lights       {best[ALL] - best['pass']:7.1f} ms")
    for ms, name in dearest(ALL):
        print(f"  {name:<34}{ms:7.1f} ms")


if __name__ == "__main__":
    main()
