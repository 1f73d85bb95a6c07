"""Many photos in one command: what is done, what is not, and that nothing is lost."""

from __future__ import annotations

import json
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from ranlen import retouch, segment
from ranlen.cli import batch
from ranlen.cli import main as cli
from ranlen.cli.batch import BatchError, Job
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks import shapes
from ranlen.networks import load

NAMES = ("a.png", "b.jpg", "c.png")
CIRCLE = ("--circle", "60,45,20", "--model", "star_dce-ranlen")


@pytest.fixture
def folder(tmp_path, weights_folder, monkeypatch, rng):
    """A folder with three dark photos, as the working one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))
    for name in NAMES:
        Photo(rng.integers(0, 90, (90, 120, 3), dtype=np.uint8)).write(name)
    return tmp_path


def results(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "out").iterdir())}


def test_many_are_lit_as_one_is(folder, capsys):
    assert cli.main(["light", *NAMES, "-o", "out", *CIRCLE]) == 0
    assert capsys.readouterr().out == "3 photos lit\n"
    assert tuple(results(folder)) == NAMES
    for name in NAMES:
        photo = images.read(name)
        mask = retouch.region_mask(shapes.disc(photo.size, (60, 45), 20))
        lit = retouch.light(photo, mask, load("star_dce-ranlen"))
        lit.write(f"alone-{name}")
        assert np.abs(images.read(f"alone-{name}").pixels.astype(int) - images.read(f"out/{name}").pixels).max() <= 1


def test_bad_files_are_listed_and_the_rest_is_done(folder, capsys):
    (folder / "text.png").write_text("hello")
    assert cli.main(["light", "a.png", "text.png", "none.jpg", "c.png", "-o", "out", *CIRCLE]) == 1
    said = capsys.readouterr()
    assert said.out == "2 photos lit\n"
    assert said.err.splitlines()[0].startswith("ranlen: none.jpg: cannot read none.jpg: no such file")
    assert said.err.splitlines()[1].startswith("ranlen: text.png: cannot read text.png: not an image")
    assert said.err.splitlines()[2] == "ranlen: 2 of 4 photos failed"
    assert tuple(results(folder)) == ("a.png", "c.png")


def test_what_is_there_is_left_unless_told_otherwise(folder, capsys):
    (folder / "out").mkdir()
    (folder / "out" / "b.jpg").write_bytes(b"precious")
    assert cli.main(["light", *NAMES, "-o", "out", *CIRCLE]) == 0
    assert capsys.readouterr().out == "2 photos lit, 1 were there already (--overwrite does them again)\n"
    assert results(folder)["b.jpg"] == b"precious"
    assert cli.main(["light", *NAMES, "-o", "out", "--overwrite", *CIRCLE]) == 0
    assert results(folder)["b.jpg"] != b"precious"
    assert cli.main(["light", *NAMES, "-o", "out", *CIRCLE]) == 0
    assert capsys.readouterr().out.endswith("0 photos lit, 3 were there already (--overwrite does them again)\n")


def test_each_photo_has_its_mask(folder, capsys):
    (folder / "masks").mkdir()
    for name, x in (("a", 20), ("b", 100)):
        mask = shapes.disc((90, 120), (x, 45), 10)
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    assert cli.main(["light", *NAMES, "-o", "out", "--mask", "masks", "--model", "star_dce-ranlen"]) == 1
    assert "c.png: cannot read masks/c.png: no such file" in capsys.readouterr().err
    changed = images.read("out/a.png").pixels != images.read("a.png").pixels
    assert changed[:, :40].any()
    assert not changed[:, 60:].any()


def test_one_list_of_edits_fits_every_size(folder, rng):
    Photo(rng.integers(0, 90, (180, 240, 3), dtype=np.uint8)).write("d.png")
    edits = [{"tool": "rectangle", "from": [0.1, 0.1], "to": [0.4, 0.9], "add": True}]
    (folder / "edits.json").write_text(json.dumps(edits))
    assert (
        cli.main(["light", "a.png", "d.png", "-o", "out", "--edits", "edits.json", "--model", "star_dce-ranlen"]) == 0
    )
    for name in ("a.png", "d.png"):
        changed = (images.read(f"out/{name}").pixels != images.read(name).pixels).any((0, 2))
        width = len(changed)
        assert changed[width // 10 : 4 * width // 10].any()
        assert not changed[6 * width // 10 :].any()


def test_a_segmenter_is_loaded_once_for_all_photos_and_threads(folder, monkeypatch, capsys):
    loaded, real = [], segment.choose

    def slow(*arguments):
        loaded.append(arguments)
        time.sleep(0.2)
        return real(*arguments)

    monkeypatch.setattr(segment, "choose", slow)
    monkeypatch.setattr(batch.os, "cpu_count", lambda: 3)
    assert cli.main(["light", *NAMES, "-o", "out", "--click", "60,45", "--model", "star_dce-ranlen"]) == 0
    assert capsys.readouterr().out == "3 photos lit\n"
    assert len(loaded) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.png", "sub/a.png", "-o", "out"), "would both become"),
        (("a.png", "c.png", "-o", "."), "would be overwritten by its result"),
        (("a.png", "c.png", "-o", "b.jpg"), "2 photos need a folder"),
    ],
)
def test_what_would_lose_photos_is_refused(arguments, message, folder, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["light", *arguments, *CIRCLE])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (folder / "out").exists()


def test_a_missing_model_is_said_once(folder, capsys):
    assert cli.main(["light", *NAMES, "-o", "out", *CIRCLE[:2], "--model", "none such"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_progress_bar_ends(capsys):
    class Screen:
        text = ""

        def isatty(self):
            return True

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    screen = Screen()
    jobs = [Job(name, name) for name in "ba"]
    failed = batch.follow(iter([(jobs[0], "broken"), (jobs[1], None)]), 2, screen)
    assert failed == [(jobs[0], "broken")]
    assert screen.text.endswith("] 2 of 2, 1 failed, 0 s left \n")


def test_ray_without_ray_or_a_cluster_says_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(BatchError, match="pip install"):
        next(batch.on_ray(print, []))


@pytest.mark.slow
def test_ray_does_the_same(folder, capsys):
    ray = pytest.importorskip("ray")
    (folder / "text.png").write_text("hello")
    paths = [str(folder / name) for name in (*NAMES, "text.png")]
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        assert cli.main(["light", *paths, "-o", str(folder / "ray"), "--engine", "ray", *CIRCLE]) == 1
    finally:
        ray.shutdown()
    assert "cannot read text.png: not an image" in capsys.readouterr().err
    assert cli.main(["light", *paths[:3], "-o", "out", *CIRCLE]) == 0
    for name, data in results(folder).items():
        here, there = images.read(folder / "out" / name).pixels, images.read(folder / "ray" / name).pixels
        assert np.abs(here.astype(int) - there).max() <= 1, (name, len(data))
    shutil.rmtree(folder / "ray")
