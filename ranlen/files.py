"""Writing files so that a reader finds the old one or the new one, never half of either."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Asking for it means setting it, so it is asked once, here: between threads, one could find the other's 0.
UMASK = os.umask(0)
os.umask(UMASK)


def write_atomically(path: Path, data: bytes) -> None:
    """Write bytes aside, then put them in the place of `path` in one step.

    Raises:
        OSError: the folder is missing, read-only or full; `path` is then as it was.
    """
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, 0o666 & ~UMASK)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
