"""Files read within limits, and written so that a reader finds the old one or the new one, never half of either."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

# Asking for it means setting it, so it is asked once, here: between threads, one could find the other's 0.
UMASK = os.umask(0)
os.umask(UMASK)


class FileError(ValueError):
    """A file that is not read; the message says which and why."""


def shown(name: str | Path) -> str:
    """A name as a message shows it: on one line, and not longer than a line."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(name))
    return text if len(text) <= 200 else f"{text[:90]}...{text[-90:]}"


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most `most` bytes.

    A named pipe or a device, which could keep us waiting or never end, is refused without being read.

    Raises:
        FileError: no such file, not a regular one, too large, or not ours to read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            about = os.fstat(handle)  # of what was opened: the name may lead elsewhere by now
            if not stat.S_ISREG(about.st_mode):
                raise FileError(f"cannot read {shown(path)}: not a file")
            if about.st_size > most:
                count, limit = (f"{size / 1e6:.0f} MB" for size in (about.st_size, most))
                raise FileError(f"cannot read {shown(path.name)}: {count}; at most {limit} are read")
            with open(handle, "rb", closefd=False) as file:
                return file.read(about.st_size)  # with `most`, room for as much would be made first
        finally:
            os.close(handle)
    except FileNotFoundError:
        raise FileError(f"cannot read {shown(path)}: no such file") from None
    except OSError as error:
        raise FileError(f"cannot read {shown(path)}: {error.strerror}") from None
    except ValueError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"cannot read {shown(path)}: {error}") from None  # a zero byte in its name


def write_atomically(path: Path, data: bytes) -> None:
    """Write bytes aside, then put them in the place of `path` in one step.

    A link is followed: the file that it leads to is replaced, not the link. A file that was there passes on its mode.

    Raises:
        OSError: the folder is missing, read-only or full; `path` is then as it was.
    """
    path = Path(os.path.realpath(path))
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".ranlen.", suffix=".tmp")  # any name's length will do
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~UMASK)
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
