"""Data sets made here, tiny, laid out and named as their authors publish them, come out as training reads them."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ranlen.io import images
from ranlen.io.images import Photo
from train import data, evaluate, examples, prepare, sources
from train.data import DataError
from train.sources import UIEB_TEST, fivek_id, keep_split, ppr10k_name, uieb_test


def photo(path: Path, brightness: float = 0.5, size: tuple[int, int] = (40, 60), dtype: type = np.uint8) -> None:
    """A smooth photo, (height, width), brighter towards the right, written with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(0.8, 1.2, size[1]) * brightness * np.iinfo(dtype).max
    Photo(np.repeat(np.tile(ramp.astype(dtype), (size[0], 1))[..., None], 3, axis=2)).write(path)


def mask(path: Path, size: tuple[int, int] = (40, 60)) -> None:
    """White in the left half, as a binary PNG with one channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    core = np.zeros(size, bool)
    core[:, : size[1] // 2] = True
    images.mask_photo(core).write(path)


def run(*arguments: object) -> int:
    return prepare.main([*map(str, arguments), "--jobs", "1"])


def split(folder: Path) -> dict[str, list[str]]:
    told = json.loads((folder / "split.json").read_text())
    assert "last underscore" in told.pop("scenes")
    return told


@pytest.fixture
def fivek(tmp_path: Path) -> Path:
    """The experts' 16-bit TIFFs as published, inputs exported beside them: two to train on, one to test on."""
    source = tmp_path / "fivek_dataset"
    for name in ("a0001-jmac_DSC1459", "a4500-DSC_0038", "a4501-Duggan_090201_4940"):
        photo(source / "tiff16_c" / f"{name}.tif", 0.6, (400, 600), np.uint16)
        photo(source / "tiff16_a" / f"{name}.tif", 0.3, (400, 600), np.uint16)
        photo(source / "input" / f"{name}.jpg", 0.2, (200, 300))
    (source / "filesAdobe.txt").write_text("a0001-jmac_DSC1459\n")
    return source


def test_fivek_is_paired_by_id_split_by_id_and_brought_to_256(fivek, tmp_path, capsys):
    assert run("fivek", fivek, tmp_path / "out", "--partial") == 0
    assert split(tmp_path / "out") == {"train": ["a0001", "a4500"], "test": ["a4501"]}
    low, high = (images.read(tmp_path / "out" / side / "a0001.png") for side in ("low", "high"))
    assert low.size == high.size == (171, 256)
    assert high.pixels.dtype == np.uint8
    assert high.pixels.mean() == pytest.approx(0.6 * 255, abs=1)  # 16 bits to 8
    assert low.pixels.mean() == pytest.approx(0.2 * 255, abs=1)
    assert (
        "5,000 pairs; here are 3, 4,997 are missing (a0002, a0003, a0004, a0005, a0006, ...)" in capsys.readouterr().err
    )
    assert (data.load_pairs(tmp_path / "out", ["a0001"])).low.shape == (1, 3, 256, 256)


def test_another_expert_is_another_folder(fivek, tmp_path):
    assert run("fivek", fivek, tmp_path / "a", "--partial", "--expert", "a") == 0
    assert images.read(tmp_path / "a/high/a0001.png").pixels.mean() == pytest.approx(0.3 * 255, abs=1)
    assert run("fivek", fivek, tmp_path / "a", "--partial") == 2  # or two experts would be mixed


def test_exports_as_users_of_deepupe_have_them(tmp_path):
    photo(tmp_path / "src/input/a0007-x.png", 0.2)
    photo(tmp_path / "src/expertC/a0007-x-2.jpg", 0.6)
    assert run("fivek", tmp_path / "src", tmp_path / "out", "--partial") == 0
    assert split(tmp_path / "out")["train"] == ["a0007"]
    assert images.read(tmp_path / "out/low/a0007.png").size == (40, 60)  # never enlarged


def test_fivek_without_all_its_photos_is_refused_unless_asked_for(fivek, tmp_path, capsys):
    assert run("fivek", fivek, tmp_path / "out") == 2
    assert "--partial prepares what there is" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_raw_inputs_alone_are_explained(fivek, tmp_path, capsys, monkeypatch):
    (fivek / "raw_photos/HQa1to700/photos").mkdir(parents=True)
    (fivek / "raw_photos/HQa1to700/photos/a0001-jmac_DSC1459.dng").write_bytes(b"II*\0")
    for path in (fivek / "input").iterdir():
        path.rename(tmp_path / path.name)
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    assert run("fivek", fivek, tmp_path / "out", "--partial") == 2
    message = capsys.readouterr().err
    assert "as DNG only. Open raw_photos/fivek.lrcat in Lightroom" in message
    assert message.count("\n") == 1


def test_a_raw_photo_is_developed_where_rawpy_is_installed(tmp_path, capsys):
    pytest.importorskip("rawpy")
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "src/raw_photos/HQa1to700/photos/a0001-x.dng"
    path.parent.mkdir(parents=True)
    identity = (1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1)
    tags = [
        (33421, 3, 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, 1, 4, (0, 1, 1, 2), True),  # CFAPattern, RGGB
        (50706, 1, 4, (1, 4, 0, 0), True),  # DNGVersion
        (50708, 2, 0, "Test", True),  # UniqueCameraModel
        (50721, 10, 9, identity, True),  # ColorMatrix1
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),  # AsShotNeutral
    ]
    tifffile.imwrite(path, np.full((400, 600), 8000, np.uint16), photometric=32803, extratags=tags)
    photo(tmp_path / "src/tiff16_c/a0001-x.tif", 0.6, (400, 600), np.uint16)
    assert run("fivek", tmp_path / "src", tmp_path / "out", "--partial") == 0
    assert "developed by rawpy" in capsys.readouterr().err
    low = images.read(tmp_path / "out/low/a0001.png")
    assert low.size == (171, 256)
    assert 30 < low.pixels.mean() < 200


def test_what_is_wrong_is_named_and_left_out(fivek, tmp_path, capsys):
    photo(fivek / "input/a0002-cropped.jpg", 0.2, (200, 200))
    photo(fivek / "tiff16_c/a0002-cropped.tif", 0.6, (200, 300), np.uint16)
    photo(fivek / "input/a0003-damaged.png", 0.2)
    photo(fivek / "tiff16_c/a0003-damaged.tif", 0.6)
    damaged = fivek / "input/a0003-damaged.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    photo(fivek / "input/a0004-alone.jpg")
    photo(fivek / "input/a0005-twice.jpg")
    photo(fivek / "input/a0005-twice.png")
    photo(fivek / "tiff16_c/a0005-twice.tif")
    photo(fivek / "input/holiday.jpg")
    assert run("fivek", fivek, tmp_path / "out", "--partial") == 1
    lines = capsys.readouterr().err
    assert "a0002: the photo is 200 x 200 but its reference 300 x 200: another shape (cropped?)" in lines
    assert re.search(r"a0003: cannot read a0003-damaged.png: .*input\n", lines)
    assert "a0004: no photo of that name in tiff16_c" in lines
    assert "a0005: 2 photos in input, a0005-twice.jpg, a0005-twice.png; keep one" in lines
    assert "holiday.jpg: not a name of this data set" in lines
    assert split(tmp_path / "out") == {"train": ["a0001", "a4500"], "test": ["a4501"]}
    assert not (tmp_path / "out/low/a0002.png").exists()


def test_a_second_run_writes_what_is_missing_and_nothing_else(fivek, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("fivek", fivek, out, "--partial") == 0
    kept = out / "low/a0001.png"
    kept.write_bytes(b"not touched")
    (out / "high/a4500.png").unlink()  # as if killed between the two of a pair
    assert run("fivek", fivek, out, "--partial") == 0
    assert "(1 written, 2 already there)" in capsys.readouterr().out
    assert kept.read_bytes() == b"not touched"
    assert images.read(out / "high/a4500.png").size == (171, 256)
    assert run("fivek", fivek, out, "--partial", "--overwrite") == 0
    assert images.read(kept).size == (171, 256)
    assert not [path for path in out.rglob("*") if path.suffix == ".tmp"]
    assert run("fivek", fivek, out, "--partial", "--size", "128") == 2
    assert "was prepared with size 256" in capsys.readouterr().err


def test_folders_of_others_are_not_written_into(fivek, tmp_path, capsys):
    photo(tmp_path / "mine/low/a0001.png")
    assert run("fivek", fivek, tmp_path / "mine", "--partial") == 2
    assert "choose another folder" in capsys.readouterr().err
    assert not (tmp_path / "mine/high").exists()


def test_a_full_disk_is_one_clear_line(fivek, tmp_path, capsys, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(images, "write_atomically", full)
    assert run("fivek", fivek, tmp_path / "out", "--partial") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"prepare: {tmp_path / 'out'}: No space left on device; the same command goes on from here"
    assert not (tmp_path / "out/split.json").exists()


def test_fivek_and_uieb_have_the_papers_splits():
    ids = [fivek_id(f"a{i:04}-name_{i}") for i in range(1, 5001)]
    assert None not in ids
    assert len(set(ids)) == 5000
    assert [fivek_id(stem) for stem in ("a0000", "a5001", "b0001", "a00011", "a0012")] == [None] * 4 + ["a0012"]
    names = [f"{i}_img_" for i in range(1, 880)] + [f"{10150 + i}" for i in range(11)]
    test = uieb_test(names)
    assert (len(test), len(set(names) - test)) == (78, 812)
    assert uieb_test(names[::-1]) == test
    drawn = torch.randperm(890, generator=torch.Generator().manual_seed(0))[:78]  # how the positions were made
    assert json.loads(UIEB_TEST.read_text()) == sorted(drawn.tolist())


@pytest.mark.slow
def test_a_whole_fivek_is_split_at_4500(tmp_path):
    for folder in ("input", "expertC"):
        (tmp_path / folder).mkdir()
        for i in range(1, 5001):
            (tmp_path / folder / f"a{i:04}-x.jpg").touch()
    listing = sources.fivek(tmp_path)
    assert not listing.problems
    assert not listing.notes
    assert [entry.name for entry in listing.entries if entry.test] == [f"a{i}" for i in range(4501, 5001)]
    assert sum(not entry.test for entry in listing.entries) == 4500
    (tmp_path / "input/a0017-x.jpg").unlink()
    with pytest.raises(DataError, match=r"here are 4,999, 1 are missing \(a0017\)"):
        sources.fivek(tmp_path)


def test_uieb_as_published(tmp_path, capsys):
    for name in ("1_img_", "10_img_", "10151", "2_img_"):
        photo(tmp_path / f"UIEB/raw-890/{name}.png", 0.3)
        photo(tmp_path / f"UIEB/reference-890/{name}.png", 0.6)
    photo(tmp_path / "UIEB/challenging-60/9_img_.png")
    assert run("uieb", tmp_path / "UIEB", tmp_path / "out") == 2
    assert "UIEB has 890 pairs; here are 4, 886 are missing" in capsys.readouterr().err
    assert run("uieb", tmp_path / "UIEB", tmp_path / "out", "--partial") == 0
    assert split(tmp_path / "out") == {"train": ["10_img_", "1_img_", "2_img_"], "test": ["10151"]}  # position 0
    (tmp_path / "UIEB/reference-890/2_img_.png").unlink()
    assert run("uieb", tmp_path / "UIEB", tmp_path / "again", "--partial") == 1
    assert "2_img_: no photo of that name in reference-890" in capsys.readouterr().err


def test_a_folder_that_is_something_else_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "src/holidays").mkdir(parents=True)
    for kind, missing in (
        ("fivek", "tiff16_c/ or expertc/"),
        ("uieb", "raw-890/"),
        ("ppr10k", "source/ or source_aug_6/"),
        ("pairs", "low/"),
    ):
        assert run(kind, tmp_path / "src", tmp_path / "out") == 2
        message = capsys.readouterr().err
        assert f"src has no {missing}" in message
        assert "it has holidays/" in message
        assert message.count("\n") == 1
        assert run(kind, tmp_path / "nowhere", tmp_path / "out") == 2
        assert "no folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def ppr10k(root: Path, name: str, darkness: float, masks: str = "masks") -> None:
    photo(root / f"source/{name}.tif", 0.5 * darkness, dtype=np.uint16)
    for expert, brightness in (("a", 0.5), ("b", 0.7), ("c", 0.6)):
        photo(root / f"target_{expert}/{name}.tif", brightness)
    mask(root / f"{masks}/{name}.png")


def test_ppr10k_in_parts_gives_dark_photos_with_their_masks(tmp_path, capsys):
    for name, darkness in (("0_0", 0.4), ("0_1", 1.0), ("1355_2", 0.5)):
        ppr10k(tmp_path / "src/train", name, darkness)
    photo(tmp_path / "src/train/source_aug_6/0_0_1.tif", 0.1, dtype=np.uint16)
    ppr10k(tmp_path / "src/val", "1356_0", 0.4)
    ppr10k(tmp_path / "src/val", "1680_4", 0.4)
    (tmp_path / "src/val/masks/1680_4.png").unlink()
    assert run("ppr10k", tmp_path / "src", tmp_path / "out", "--partial") == 1
    printed = capsys.readouterr()
    assert "1680_4: no photo of that name in masks" in printed.err
    assert "1 of 4 are not darker than 0.7 of their reference" in printed.out
    assert split(tmp_path / "out") == {"train": ["0_0", "1355_2"], "test": ["1356_0"]}
    core = images.read_mask(tmp_path / "out/masks/0_0.png", (40, 60))
    assert core[:, :30].all()
    assert not core[:, 30:].any()

    assert run("ppr10k", tmp_path / "src", tmp_path / "out", "--partial", "--darker-than", "0.19") == 1
    assert split(tmp_path / "out") == {"train": ["0_0"], "test": ["1356_0"]}  # 0.5 ** 2.2 is 0.22
    assert (tmp_path / "out/low/1355_2.png").exists()  # nothing is deleted


def test_ppr10k_as_downloaded_with_augmented_photos(tmp_path):
    root = tmp_path / "src/train_val_images_tif_360p"
    ppr10k(root, "7_3", 0.4)
    ppr10k(root, "1400_0", 0.4)
    for name in ("7_3", "7_3_1", "7_3_5"):
        photo(root / f"source_aug_6/{name}.tif", 0.1, dtype=np.uint16)
    (root / "masks").rename(tmp_path / "src/masks_360p")
    assert run("ppr10k", tmp_path / "src", tmp_path / "out", "--partial", "--augmented", "--expert", "b") == 0
    assert split(tmp_path / "out") == {"train": ["7_3", "7_3-1", "7_3-5"], "test": ["1400_0"]}
    assert {data.scene(name) for name in split(tmp_path / "out")["train"]} == {"7"}
    assert ppr10k_name("7_3_5") == "7_3-5"
    assert ppr10k_name("IMG_3") is None


def test_pairs_of_lol_keep_the_authors_test_set(tmp_path, capsys):
    for part, names in (("our485", ("2", "5", "6")), ("eval15", ("1", "22"))):
        for name in names:
            photo(tmp_path / f"LOL/{part}/low/{name}.png", 0.1)
            photo(tmp_path / f"LOL/{part}/high/{name}.png", 0.6)
    photo(tmp_path / "LOL/our485/low/9.png")
    assert run("pairs", tmp_path / "LOL", tmp_path / "out") == 1
    assert "9: no photo of that name in high" in capsys.readouterr().err
    assert split(tmp_path / "out") == {"train": ["2", "5", "6"], "test": ["1", "22"]}


def test_pairs_are_split_by_scene_and_stay_where_they_are(tmp_path):
    def add(*names: str) -> None:
        for name in names:
            photo(tmp_path / f"src/Dark/{name}.jpg", 0.1)
            photo(tmp_path / f"src/bright/{name}.png", 0.6)

    add(*(f"s{i}_{k}" for i in range(10) for k in range(2)))
    command = ("pairs", tmp_path / "src", tmp_path / "out", "--low", "dark", "--high", "bright", "--test", "0.2")
    assert run(*command) == 0
    first = split(tmp_path / "out")
    assert (len(first["train"]), len(first["test"])) == (16, 4)
    assert not {data.scene(n) for n in first["train"]} & {data.scene(n) for n in first["test"]}
    held = data.scene(first["test"][0])
    add(f"{held}_7", "t1_0", "t2_0", "t3_0", "t4_0", "t5_0")
    assert run(*command) == 0
    second = split(tmp_path / "out")
    assert set(first["train"]) <= set(second["train"])
    assert {*first["test"], f"{held}_7"} <= set(second["test"])
    assert len(second["test"]) == 6  # and one of five new scenes

    (tmp_path / "src/split.json").write_text(json.dumps({"train": ["s0_0"], "test": ["s1_0"]}))
    assert keep_split(["s0_0", "s0_5", "s1_0", "s1_9"], sources.read_splits(tmp_path / "src"), 0.2) == {"s1_0", "s1_9"}
    (tmp_path / "src/split.json").write_text("[1]")
    assert run(*command) == 2


def test_the_own_mask_of_a_photo_is_trained_with(tmp_path):
    for i in range(4):
        ppr10k(tmp_path / "src", f"{i}_0", 0.4)
    assert run("ppr10k", tmp_path / "src", tmp_path / "out", "--partial") == 0
    pairs = data.load_pairs(tmp_path / "out", split(tmp_path / "out")["train"])
    assert pairs.subjects is not None
    assert pairs.subjects.shape == (4, 1, 256, 256)
    assert pairs.subjects.float().mean() == pytest.approx(0.5, abs=0.01)

    training = examples.TrainingSet(pairs, torch.empty(0, 3, *data.SIZE), [], 0, 0.0, 0.0, 0)
    low, _, regions = training.batch(0, 4)
    for image, areas in zip(low, regions.tensor, strict=True):
        a, a_or_b = areas >= 0.5
        dark = image.mean(0) < image.mean()  # the photo is darker on the side of its subject, mirrored or not
        assert a.any()
        assert (a_or_b | ~a).all()
        assert a.sum() < a_or_b.sum()  # eroded
        assert dark[a].float().mean() > dark[~a_or_b].float().mean()
    for subject in pairs.subjects[:, 0].numpy():
        areas = examples.training_mask(0.0, [], torch.Generator().manual_seed(0), subject).tensor[0]
        assert (areas[1] == subject).all()  # the segmentation is A or B, as in Section 5.2
    nobody = examples.training_mask(0.0, [], torch.Generator().manual_seed(0), np.zeros(data.SIZE, bool))
    assert nobody.a.any()  # another shape


@pytest.mark.slow
def test_what_was_prepared_in_several_processes_can_be_evaluated(fivek, tmp_path, capsys):
    command = [sys.executable, "-m", "train.prepare", "fivek", fivek, tmp_path / "out", "--partial", "--jobs", "2"]
    done = subprocess.run(command, cwd=Path(data.__file__).parent.parent, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "3 pairs in" in done.stdout
    assert evaluate.main(["--data", str(tmp_path / "out"), "--models", "deepupe-ranlen"]) == 0
    assert "1 photos" in capsys.readouterr().out
