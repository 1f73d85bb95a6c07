"""One private folder for uploads and results, that empties itself.

Gradio sweeps the files it knows of; what an upload that broke off or a folder of ours leaves is swept here.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import gradio as gr

OLD = 2 * 3600.0  # seconds after which a file goes
EVERY = 600.0  # seconds between looks


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that only this user can read, gone at the end: after Ctrl-C, a signal to end or an error, too."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    with tempfile.TemporaryDirectory(prefix="ranlen-", ignore_cleanup_errors=True) as name:
        before = signal.signal(signal.SIGTERM, end)
        try:
            yield Path(name)
        finally:
            signal.signal(signal.SIGTERM, before)


def keep_empty(page: gr.Blocks) -> None:
    """Sweep the folder of a page every ten minutes, for as long as it runs."""
    from gradio.utils import get_upload_folder  # at the top it would make a folder before ours has a name

    def look() -> None:
        while True:
            time.sleep(EVERY)
            kept = {Path(file) for block in page.blocks.values() for file in getattr(block, "keep_in_cache", ())}
            sweep(Path(get_upload_folder()), OLD, kept)

    threading.Thread(target=look, daemon=True).start()


def sweep(folder: Path, old: float, kept: set[Path]) -> None:
    """Remove files that nobody touched for `old` seconds, and folders that are empty; not those that are kept."""
    limit = time.time() - old
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder comes before the folder
        try:
            if path.is_dir() and not path.is_symlink():
                if path.stat().st_mtime < limit:
                    path.rmdir()
            elif path not in kept and path.lstat().st_mtime < limit:
                path.unlink()
        except OSError:  # somebody was quicker, or the folder is in use
            continue


def fresh_folder() -> Path:
    """A new folder among the uploads, for results."""
    from gradio.utils import get_upload_folder

    return Path(tempfile.mkdtemp(dir=get_upload_folder()))
