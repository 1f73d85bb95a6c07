"""Whatever happens while a file is written, the old one or the new one is there, whole."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.soak import kills
from ranlen.cli import main as cli
from ranlen.io import images
from ranlen.io.files import write_atomically
from ranlen.io.images import Photo

ROOT = Path(__file__).parent.parent
WRITER = """
import sys
from pathlib import Path
from ranlen.io.files import write_atomically
print(flush=True)
for number in range(10**9):
    write_atomically(Path(sys.argv[1]), bytes([number % 251]) * 3_000_000)
"""


@pytest.mark.parametrize("name", ["x" * 255, "x" * 242, "夜" * 83 + ".jpg", "é" * 126 + "jpg"])
def test_a_name_may_be_as_long_as_the_disk_allows(name, tmp_path):
    write_atomically(tmp_path / name, b"whole")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"whole")]


def test_a_killed_writer_leaves_a_whole_file_twenty_times(tmp_path):
    path, chance = tmp_path / "a.bin", random.Random(0)
    seen = set()
    for _ in range(20):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
        writer.stdout.readline()  # it begins
        time.sleep(chance.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        if path.exists():
            data = path.read_bytes()
            assert len(data) == 3_000_000
            assert data == data[:1] * len(data)
            seen.add(data[0])
    assert len(seen) > 3  # it did write


@pytest.mark.parametrize("call", ["write", "os.fsync", "os.replace", "os.chmod", "tempfile.mkstemp"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(call, tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    write_atomically(path, b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "write":
        opened = os.fdopen

        class Full:
            def __init__(self, *given: object) -> None:
                self.file = opened(*given)

            def __enter__(self):
                return self

            def __exit__(self, *_: object) -> None:
                self.file.close()

            write = full

        monkeypatch.setattr("os.fdopen", Full)
    else:
        monkeypatch.setattr(call, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.bin"]


@pytest.fixture
def dark(tmp_path, weights_folder, monkeypatch):
    """A dark photo, and arguments that light it."""
    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))
    Photo(np.full((60, 80, 3), 30, np.uint8)).write(tmp_path / "a.png")
    return ["light", str(tmp_path / "a.png"), "--circle", "40,30,12", "--model", "star_dce-ranlen", "-o"]


def test_the_command_line_says_in_one_line_that_the_disk_is_full(dark, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.png"
    out.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert cli.main([*dark, str(out)]) == 1
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert said.count("\n") == 1
    assert out.read_bytes() == b"old"


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="needs a file system of its own")
def test_a_disk_that_is_really_full_leaves_the_old_file(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("may not mount")
    try:
        write_atomically(small / "a.bin", b"old")
        with pytest.raises(OSError, match="No space left"):
            write_atomically(small / "a.bin", bytes(200_000))
        assert (small / "a.bin").read_bytes() == b"old"
        assert len(list(small.iterdir())) == 1
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_folder_that_may_not_be_written_is_told(dark, tmp_path, monkeypatch, capsys):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)  # root may write everywhere
    assert cli.main([*dark, str(tmp_path / "out.png")]) == 1
    said = capsys.readouterr().err
    assert "Permission denied" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


@pytest.mark.slow
def test_a_batch_that_is_killed_ends_as_if_it_had_not_been(tmp_path, weights_folder, monkeypatch):
    """Once; `python -m benchmarks.soak.kills` kills batch and training 20 times each."""
    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))
    outcome = kills.batch(tmp_path, kills=1, count=4)
    assert outcome == kills.Outcome(1, True, ())
    assert images.read(next((tmp_path / "whole").iterdir())).size == (300, 400)
