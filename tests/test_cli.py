"""The command line as people use it: a process, its files, its exit code, its one line of complaint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ranlen.cli import main as cli
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.methods import METHODS
from ranlen.models.backbones import BACKBONES


@pytest.fixture
def run(tmp_path, weights_folder):
    """Run `ranlen ARGUMENTS` in a folder with a dark photo.png and its mask.png."""
    rng = np.random.default_rng(0)
    Photo(rng.integers(0, 90, (90, 120, 3), dtype=np.uint8)).write(tmp_path / "photo.png")
    core = np.zeros((90, 120), np.uint8)
    core[30:60, 40:80] = 255
    Image.fromarray(core).save(tmp_path / "mask.png")

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ranlen", *arguments],
            cwd=tmp_path,
            env={**os.environ, "RANLEN_WEIGHTS": str(weights_folder), **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )

    run.folder = tmp_path
    return run


@pytest.fixture
def fail(run, weights_folder, monkeypatch, capsys):
    """Run in this process, expect an exit code and a message on one line; nothing may be written."""
    monkeypatch.chdir(run.folder)
    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))

    def fail(code: int, *arguments: str) -> str:
        before = sorted(run.folder.iterdir())
        try:
            got = cli.main(list(arguments))
        except SystemExit as stop:
            got = stop.code
        captured = capsys.readouterr()
        assert got == code, captured.err
        assert captured.out == ""
        assert captured.err.startswith("ranlen: ")
        assert captured.err.count("\n") == 1
        assert sorted(run.folder.iterdir()) == before
        return captured.err

    return fail


def test_options_of_before_still_work_and_the_help_does_not_name_them(capsys):
    parser, common = cli.build_parser(), ["light", "a.png", "-o", "b.png", "--circle", "1,2,3"]
    now = parser.parse_args([*common, "--feather", "0.2", "--feather-side", "in"])
    before = parser.parse_args([*common, "--transition", "0.2", "--grow", "in"])
    assert before == now
    assert (now.feather, now.feather_side) == (0.2, "in")
    assert parser.parse_args(common).feather is None
    with pytest.raises(SystemExit):
        parser.parse_args(["light", "--help"])
    told = capsys.readouterr().out
    assert "--feather-side" in told
    assert not any(name in told for name in ("--transition", "--grow"))


@pytest.mark.slow
def test_light_lights_the_mask_and_keeps_the_rest(run):
    done = run(
        "light", "photo.png", "-o", "lit.png", "--mask", "mask.png", "--feather", "0.1", "--model", "star_dce-ranlen"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    before, after = (images.read(run.folder / name).pixels for name in ("photo.png", "lit.png"))
    changed = (before != after).any(axis=2)
    assert changed[40:50, 50:70].any()
    y, x = np.mgrid[:90, :120]
    distance = np.hypot(np.maximum(np.maximum(30 - y, y - 59), 0), np.maximum(np.maximum(40 - x, x - 79), 0))
    assert not changed[distance > 9].any()


@pytest.mark.slow
def test_compare_writes_one_sheet_of_all_methods(run):
    done = run("compare", "photo.png", "-o", "sheet.png", "--click", "60,45", "--backbone", "star_dce")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with Image.open(run.folder / "sheet.png") as sheet:
        assert sheet.width > 3 * 120
        assert sheet.height > 2 * 90


def test_models_lists_every_model(run):
    done = run("models")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.splitlines()[1:-1]]
    assert names == [f"{b}-{m}" for b in BACKBONES for m in METHODS]


def test_a_reader_who_has_seen_enough_is_no_error(weights_folder):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "ranlen", "models"],
        env={**os.environ, "RANLEN_WEIGHTS": str(weights_folder)},
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=120,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_help_and_usage_errors_do_not_wait_for_torch(run):
    code = "import sys; from ranlen.cli.main import build_parser; build_parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
    done = run("--help")
    assert done.returncode == 0
    for command in ("light", "compare", "segment", "models"):
        assert command in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("light", "none.jpg", "-o", "lit.jpg", "--circle", "9,9,9"),
        ("light", "photo.png", "-o", "lit.gif", "--circle", "9,9,9"),
        ("light", "photo.png", "-o", "lit.png", "--circle", "999,9,9"),
        ("light", "photo.png", "-o", "lit.png", "--mask", "none.png"),
        ("light", "photo.png", "photo.png", "-o", "out", "--circle", "9,9,9"),
        ("segment", "photo.png", "-o", "mask.jpg", "--click", "9,9"),
        ("segment", "photo.png", "-o", "mask.png", "--click", "9,9", "--segmenter", "grabcut"),
    ],
    ids=" ".join,
)
def test_what_needs_no_network_does_not_import_torch(arguments, run):
    code = f"""
import sys
from ranlen.cli.main import main
try:
    main({list(arguments)!r})
except SystemExit:
    pass
sys.exit('torch' in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=run.folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


LIGHT = ("light", "photo.png", "-o", "lit.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("light",), "the following arguments are required: photo, -o/--output"),
        (LIGHT, "one of the arguments --mask --edits --circle --click is required"),
        ((*LIGHT, "--click", "1,2", "--circle", "1,2,3"), "not allowed with argument"),
        ((*LIGHT, "--click", "1"), "needs 2 numbers with commas between; got '1'"),
        ((*LIGHT, "--circle", "1,2,nan"), "needs 3 numbers with commas between"),
        ((*LIGHT, "--click", "500,10"), "the point 500,10 is outside the photo, which is 120 x 90 pixels"),
        ((*LIGHT, "--circle", "50,10,0"), "--circle needs a radius above 0; got 0"),
        ((*LIGHT, "--click", "50,10", "--degree", "7"), "argument --degree: needs a number from 0 to 2; got '7'"),
        ((*LIGHT, "--click", "50,10", "--feather", "-1"), "argument --feather: needs a number from 0 to 1"),
        ((*LIGHT, "--click", "50,10", "--feather-side", "up"), "invalid choice: 'up'"),
        (("dim", "photo.png"), "invalid choice: 'dim'"),
    ],
)
def test_usage_errors_exit_with_2(fail, arguments, message):
    assert message in fail(2, *arguments)


def test_photos_that_cannot_be_processed_exit_with_1(fail, run):
    click = ("--click", "50,10")
    (run.folder / "torn.jpg").write_bytes((run.folder / "photo.png").read_bytes()[:300])
    (run.folder / "text.jpg").write_text("hello")
    Image.new("L", (120, 90)).save(run.folder / "black.png")
    Image.new("L", (120, 90), 255).save(run.folder / "white.png")
    Image.new("L", (45, 45), 255).save(run.folder / "square.png")
    assert "no such file" in fail(1, "light", "none.jpg", "-o", "lit.jpg", *click)
    assert "damaged or cut short" in fail(1, "light", "torn.jpg", "-o", "lit.jpg", *click)
    assert "not an image of a known kind" in fail(1, "light", "text.jpg", "-o", "lit.jpg", *click)
    assert "choose one of the suffixes" in fail(1, "light", "photo.png", "-o", "lit.gif", *click)
    assert "there is no folder" in fail(1, "light", "photo.png", "-o", "gone/lit.png", *click)
    assert "mask is empty" in fail(1, *LIGHT, "--mask", "black.png")
    assert "covers the whole photo" in fail(1, *LIGHT, "--mask", "white.png")
    assert "45 x 45 pixels but the photo is 120 x 90" in fail(1, *LIGHT, "--mask", "square.png")
    assert "unknown model 'none such'; known are deepupe-global" in fail(1, *LIGHT, *click, "--model", "none such")


def test_missing_weights_say_what_to_do(fail, monkeypatch, tmp_path):
    monkeypatch.setenv("RANLEN_WEIGHTS", str(tmp_path / "nowhere"))
    message = fail(1, *LIGHT, "--click", "50,10")
    assert "no weights for deepupe-ranlen" in message
    assert "train it" in message
    assert "no weights in" in fail(1, "models")
    compare = ("compare", "photo.png", "-o", "sheet.png", "--click", "50,10")
    assert "no weights for star_dce-global" in fail(1, *compare, "--backbone", "star_dce")
    assert "unknown model 'none such-global'" in fail(1, *compare, "--backbone", "none such")


def test_a_file_that_exists_is_kept_when_something_fails(fail, run):
    (run.folder / "lit.png").write_bytes(b"precious")
    fail(1, *LIGHT, "--mask", "photo.png", "--model", "none such")
    assert (run.folder / "lit.png").read_bytes() == b"precious"


def test_a_photo_can_be_lit_in_place(run, weights_folder, monkeypatch):
    monkeypatch.chdir(run.folder)
    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))
    before = images.read(Path("photo.png")).pixels
    assert cli.main(["light", "photo.png", "-o", "photo.png", "--mask", "mask.png", "--model", "star_dce-ranlen"]) == 0
    assert (images.read(Path("photo.png")).pixels != before).any()
