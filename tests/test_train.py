"""Training on tiny data made here: it learns, it resumes to the bit, it refuses nonsense in one line."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ranlen.io import files
from ranlen.io.images import Photo
from ranlen.masks.regions import RegionMask
from ranlen.models import weights
from ranlen.models.backbones import BACKBONES
from ranlen.models.enhancer import Enhancer
from tests.conftest import trained
from train import data, evaluate, examples, figures, loop, publish
from train.__main__ import main
from train.checkpoint import CheckpointError, check_same, load_checkpoint, save_checkpoint
from train.config import ConfigError, TrainConfig, load_config, parse_arguments
from train.data import DataError
from train.loop import Learner, forward, made_ahead, train
from train.losses import MeteredLoss, RegionLoss
from train.yardsticks import YARDSTICKS

# One thread: with several, MKL divides a product among as many as the load allows, and sums round otherwise.
TINY = {
    "threads": 1,
    "epochs": 2,
    "batch": 2,
    "loss_size": 32,
    "validation": 0.3,
    "device": "cpu",
    "backbone": "star_dce",
}


@pytest.fixture(autouse=True)
def same_threads_afterwards():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.parametrize("metered", [False, True])
@pytest.mark.parametrize("backbone", ["deepupe", "star_dce"])
def test_a_network_learns_one_batch(backbone, metered):
    """Light A, keep C: after a hundred steps on one picture it is far better than the picture itself."""
    torch.manual_seed(0)
    coarse = torch.rand(2, 3, 8, 8)
    reference = torch.nn.functional.interpolate(coarse, size=(256, 256), mode="bilinear") * 0.6 + 0.2
    image = reference * 0.25
    mask = RegionMask(torch.cat([RegionMask.circle((256, 256), (c, 128), 60, 90).to("cpu").tensor for c in (100, 150)]))
    network = Learner(Enhancer(backbone, "ranlen", metered=metered).train())
    optimizer = torch.optim.Adam(network.parameters(), 4e-3)
    loss = MeteredLoss() if metered else RegionLoss(fade=1.0)
    first, parts, least = None, {}, 0.0
    for _ in range(100):
        total, parts = forward(network, loss, image, reference, mask, 64)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        first = first or parts
        least = min(least, parts.get("exposure", 0.0))
    if metered:  # logarithms: of errors less than half as large; late steps jump about, and a run keeps its best
        assert least < first["exposure"] - 0.035
        assert parts["shape"] < first["shape"]
    else:
        assert parts["a"] < 0.4 * first["a"]
        assert parts["fade"] < 0.4 * first["fade"]
    assert parts["c"] < 2e-3


def logged_epochs(out: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in (out / "log.jsonl").read_text().splitlines()]


RUN = """
import json, os, sys
from train import examples
from train.config import TrainConfig
from train.loop import train

settings, last, resume = json.loads(sys.argv[1])
original = examples.TrainingSet.batch
examples.TrainingSet.batch = lambda self, step, size: os._exit(9) if step == last else original(self, step, size)
train(TrainConfig(**settings), resume=resume)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["global", "ranlen"])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(method, pairs, tmp_path):
    def run(name: str, last: int | None = None, resume: bool = False) -> int:
        settings = {**TINY, "method": method, "data": str(pairs), "out": str(tmp_path / name)}
        command = [sys.executable, "-c", RUN, json.dumps([settings, last, resume])]
        return subprocess.run(command, cwd=Path(data.__file__).parent.parent, timeout=300).returncode

    assert run("whole") == 0
    assert run("killed", last=4) == 9  # in the middle of the second of two epochs
    assert run("killed", resume=True) == 0

    whole, killed = (load_checkpoint(tmp_path / name / "last.pt") for name in ("whole", "killed"))
    assert whole["step"] == killed["step"]
    for part in ("network", "average"):
        for name, tensor in whole[part].items():
            assert torch.equal(tensor, killed[part][name]), name
    best = [(tmp_path / name / "best.safetensors") for name in ("whole", "killed")]
    for ours, theirs in zip(weights.load(best[0]).parameters(), weights.load(best[1]).parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert logged_epochs(tmp_path / "killed") == [1, 2]


@pytest.mark.slow
def test_an_ablation_is_not_published(pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RANLEN_WEIGHTS", str(tmp_path))
    weights.save(Enhancer("star_dce", "tails"), tmp_path / "best.safetensors", {})
    assert publish.main([str(tmp_path), "--data", str(pairs)]) == 2
    assert "is an ablation (tails)" in capsys.readouterr().err
    assert not list(tmp_path.glob("star_dce-*"))


@pytest.mark.parametrize("subject_masks", ["subject_masks", "silhouettes"])  # today's word, and that of older runs
def test_a_card_names_folders_without_their_places(subject_masks):
    settings = {"data": "/home/me/sice", "sources": "/c/mixture.toml", "photos": "/a/one,/b/two", subject_masks: "/m/s"}
    config = publish.without_places({"config": {**settings, "start": "", "out": "x"}})["config"]
    assert config == {
        "data": "sice",
        "sources": "mixture.toml",
        "photos": "one,two",
        "subject_masks": "s",
        "start": "",
    }


def test_a_run_is_published_with_its_scores(pairs, tmp_path, monkeypatch):
    settings = {**TINY, "epochs": 1, "data": str(pairs)}
    train(TrainConfig(**settings, method="global", out=str(tmp_path / "g")))
    start = str(tmp_path / "g" / "best.safetensors")
    train(TrainConfig(**settings, method="ranlen", out=str(tmp_path / "r"), start=start))
    shelf = tmp_path / "weights"
    shelf.mkdir()
    (shelf / "README.md").write_text(f"before\n{publish.MARK}\nold\n{publish.END}\nafter\n")
    monkeypatch.setenv("RANLEN_WEIGHTS", str(shelf))
    readme = tmp_path / "README.md"
    readme.write_text(f"{publish.MARK}{publish.END}")
    runs = [str(tmp_path / "g"), str(tmp_path / "r")]
    more = ["--sets", f"more={pairs}:test"]
    graphs = []
    monkeypatch.setattr(publish, "export", lambda network, path, made_of: graphs.append((path.name, made_of.name)))
    assert publish.main([*runs, "--data", str(pairs), *more, "--readme", str(readme)]) == 0

    assert weights.published() == ["star_dce-global", "star_dce-blend", "star_dce-ranlen"]
    assert graphs == [(f"star_dce-{name}.onnx", f"star_dce-{name}.safetensors") for name in ("global", "ranlen")]
    config = weights.card("star_dce-ranlen")["card"]["config"]
    assert (config["data"], config["start"], "out" in config) == (pairs.name, "star_dce-global", False)
    scores = weights.scores()["models"]
    assert list(scores) == [*YARDSTICKS, *weights.published()]
    assert set(scores["input"]) == {"circle", *examples.SHAPES}
    assert scores["input"]["circle"]["images"] == 2
    assert scores["star_dce-ranlen"]["circle"]["changed_c"] == 0
    text = (shelf / "README.md").read_text()
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "old" not in text
    blend = scores["star_dce-blend"]["circle"]
    row = f"| star_dce-blend | {blend['psnr_a']:.2f}"
    assert blend["ci95"]["psnr_a"] is None  # two photos of one scene: nothing to resample
    assert text.count(row) >= 1
    assert readme.read_text().count("| star_dce-blend |") == 2  # under circles, and over both sets
    assert f"| | {pairs.name} | more | mean |" in readme.read_text()
    best = f"{blend['psnr_a']:.2f} / {blend['psnr_a_best']:.2f}"
    assert f"| star_dce-blend | {best} | {best} | {best} |" in readme.read_text()
    assert f"{blend['psnr_a']:.2f} | {blend['psnr_a_best']:.2f} |" in text
    assert row in readme.read_text()
    assert publish.main([str(tmp_path / "nothing"), "--data", str(pairs)]) == 2


def test_a_batch_is_a_function_of_its_step(pairs):
    names = data.read_split(pairs, "train")
    loaded = data.load_pairs(pairs, names)
    photos = loaded.high[:3]
    silhouette = np.zeros(data.SIZE, bool)
    silhouette[80:200, 100:150] = True
    make = lambda seed: examples.TrainingSet(loaded, photos, [silhouette], 0.5, 0.5, 0.5, seed)  # noqa: E731
    assert len(make(0)) == 12
    for ours, theirs in zip(make(0).batch(7, 4), make(0).batch(7, 4), strict=True):
        ours, theirs = (x.tensor if isinstance(x, RegionMask) else x for x in (ours, theirs))
        assert torch.equal(ours, theirs)
    assert not torch.equal(make(0).batch(7, 4)[0], make(0).batch(8, 4)[0])
    assert not torch.equal(make(0).batch(7, 4)[0], make(1).batch(7, 4)[0])
    low, high, mask = make(0).batch(3, 4)
    assert low.shape == high.shape == (4, 3, 256, 256)
    assert mask.size == (256, 256)
    for part in (low, high):
        assert part.min() >= 0
        assert part.max() <= 1


def test_every_shape_of_mask_is_drawn_and_none_is_empty():
    silhouette = np.zeros(data.SIZE, bool)
    silhouette[60:200, 100:150] = True
    generator = torch.Generator().manual_seed(0)
    coverages = [examples.training_mask(0.3, [silhouette], generator).coverage() for _ in range(60)]
    a, b, c = (np.concatenate(parts) for parts in zip(*coverages, strict=True))
    assert a.min() > 0
    assert b.min() > 0
    assert c.max() < 1
    assert a.std() > 0.05


def test_subject_masks_for_scoring_are_not_trained_on(tmp_path):
    for i in range(10):
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[10 : 20 + i, 10:30] = 255
        Photo(pixels).write(tmp_path / f"subject{i // 2}_{i % 2}.png")
    training, scoring = (data.load_subject_masks(tmp_path, scoring=scoring) for scoring in (False, True))
    assert (len(training), len(scoring)) == (8, 2)
    assert not {core.sum() for core in training} & {core.sum() for core in scoring}


def test_darkening_darkens_and_rounds_to_8_bits():
    photos = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    dark = examples.darken(photos, torch.Generator().manual_seed(1))
    assert (dark.mean((1, 2, 3)) < 0.8 * photos.mean((1, 2, 3))).all()
    torch.testing.assert_close(dark * 255, (dark * 255).round())
    assert dark.min() >= 0


def test_validation_holds_out_whole_scenes():
    names = [f"s{i}_{j}" for i in range(10) for j in range(3)]
    kept, held = data.hold_out(names, 0.2, 0)
    assert sorted(kept + held) == sorted(names)
    assert len(held) == 6
    assert not {data.scene(n) for n in kept} & {data.scene(n) for n in held}
    assert data.hold_out(names, 0.2, 0) == (kept, held)


def test_settings_come_from_defaults_then_file_then_flags(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('backbone = "star_dce"\nlr = 1\nepochs = 7\n')
    config, options = parse_arguments(["--config", str(path), "--epochs", "9", "--photos-per-pair", "0.2", "--resume"])
    assert (config.backbone, config.lr, config.epochs, config.photos_per_pair) == ("star_dce", 1, 9, 0.2)
    assert config.batch == TrainConfig().batch
    assert options.resume


def test_subject_masks_go_by_their_older_name_too(tmp_path, capsys):
    path = tmp_path / "c.toml"
    path.write_text('silhouettes = "filed"\n')
    assert load_config(path, {}).subject_masks == "filed"
    for flag in ("--subject-masks", "--silhouettes"):
        config, _ = parse_arguments(["--config", str(path), flag, "flagged"])
        assert config.subject_masks == "flagged"
    check_same(config, {**dataclasses.asdict(TrainConfig()), "silhouettes": "of before"})
    for command in (parse_arguments, publish.main, evaluate.main, figures.main):
        with pytest.raises(SystemExit):
            command(["--help"])
        told = capsys.readouterr().out
        assert "--subject-masks" in told
        assert "silhouettes" not in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown setting 'epoch'; known are backbone"),
        ("epochs = '3'", "epochs must be of type int; got '3'"),
        ("epochs = 0", "epochs must be above 0; got 0"),
        ("epochs = true", "epochs must be of type int; got True"),
        ("backbone = 'none such'", f"backbone must be one of {', '.join(BACKBONES)}; got 'none such'"),
        ("method = 'blend'", "method must be one of global, concat, ranlen, two_areas, tails; got 'blend'"),
        ("validation = 0.0", "validation must be between 0 and 1"),
        ("epochs =", "not valid TOML"),
        ("silhouettes = ''\nsubject_masks = ''", "silhouettes is the old name of subject_masks; leave it out"),
    ],
)
def test_settings_that_make_no_sense_are_refused(text, message, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert message in str(caught.value)
    with pytest.raises(ConfigError, match="no such config"):
        load_config(tmp_path / "none.toml", {})


def test_data_that_is_not_as_it_should_be_is_named(pairs, tmp_path, capsys):
    with pytest.raises(DataError, match=r"split\.json: a data folder holds"):
        data.read_split(tmp_path, "train")
    (tmp_path / "split.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        data.read_split(tmp_path, "train")
    (tmp_path / "split.json").write_text('{"train": []}')
    with pytest.raises(DataError, match='no list of names under "train"'):
        data.read_split(tmp_path, "train")
    with pytest.raises(DataError, match=r"has no image 'ghost'"):
        data.load_pairs(pairs, ["ghost"])
    with pytest.raises(DataError, match="no photos in"):
        data.load_photos(str(tmp_path))
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--epochs", "1"]) == 2
    assert main(["--epochs", "1"]) == 2
    captured = capsys.readouterr()
    assert 'no list of names under "train"' in captured.err
    assert "needs --data FOLDER" in captured.err


def test_a_broken_image_is_named(pairs, tmp_path, capsys):
    shutil.copytree(pairs, tmp_path / "pairs")
    (tmp_path / "pairs" / "high" / "s1_0.png").write_bytes(b"no picture")
    assert main(["--data", str(tmp_path / "pairs"), "--out", str(tmp_path / "out")]) == 2
    (line,) = [line for line in re.split(r"[\r\n]", capsys.readouterr().err) if line.startswith("train: ")]
    assert "s1_0.png" in line


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_checkpoint_as_it_was(pairs, tmp_path, capsys, monkeypatch):
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    arguments += ["--data", str(pairs), "--out", str(tmp_path)]
    before: dict[str, bytes] = {}

    def fills_up_in_the_second_epoch(path: Path, state: dict) -> None:
        if state["step"] > 3:
            before[path.name] = path.read_bytes()
            monkeypatch.setattr(files.os, "fsync", refuse)
        save_checkpoint(path, state)

    def refuse(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(loop, "save_checkpoint", fills_up_in_the_second_epoch)
    assert main(arguments) == 2
    message = f"train: cannot write to {tmp_path}: No space left on device; its last checkpoint is sound"
    assert message in capsys.readouterr().err
    assert (tmp_path / "last.pt").read_bytes() == before["last.pt"]
    assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob(".*"))
    monkeypatch.undo()

    assert main([*arguments, "--resume"]) == 0
    assert logged_epochs(tmp_path) == [1, 2]


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_the_run_and_says_where(pairs, tmp_path, capsys, monkeypatch):
    steps = iter(range(9))

    def breaks_in_the_fifth_step(*arguments, **options):
        total, parts = forward(*arguments, **options)
        return total * (math.nan if next(steps) == 4 else 1), parts

    monkeypatch.setattr(loop, "forward", breaks_in_the_fifth_step)
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    assert main([*arguments, "--data", str(pairs), "--out", str(tmp_path)]) == 2
    assert "train: the loss at step 4 (epoch 2) is nan and its gradient nan" in capsys.readouterr().err
    assert load_checkpoint(tmp_path / "last.pt")["step"] == 3


@pytest.mark.slow
def test_tensorboard_shows_each_epoch_once_also_after_a_resumed_one(pairs, tmp_path, monkeypatch, capsys):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = TrainConfig(**TINY, data=str(pairs), out=str(tmp_path))
    with monkeypatch.context() as patch:  # dies after it showed the second epoch, before that is saved
        patch.setattr(
            loop, "save_checkpoint", lambda path, state: exit(9) if state["step"] > 3 else save_checkpoint(path, state)
        )
        with pytest.raises(SystemExit):
            train(config)
    train(config, resume=True)
    shown = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"losses/loss", "losses/shape", "validation/psnr_a", "learning rate"} <= set(shown.Tags()["scalars"])
    assert [event.step for event in shown.Scalars("losses/loss")] == [3, 6]
    (picture,) = shown.Images("photo, result, reference")
    assert (picture.step, picture.width, picture.height) == (6, 3 * 256, 2 * 256)
    assert logged_epochs(tmp_path) == [1, 2]

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train(TrainConfig(**{**TINY, "epochs": 1}, data=str(pairs), out=str(tmp_path / "without")))
    assert capsys.readouterr().out.count("no TensorBoard here") == 1
    assert not (tmp_path / "without" / "tensorboard").exists()


def test_bfloat16_is_for_the_network_and_not_for_light_and_losses():
    """Rounded to bfloat16, which has 8 bits, the light would have steps that the second differences of L_B punish."""
    torch.manual_seed(0)
    image = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8), size=(256, 256), mode="bilinear") * 0.3
    mask = RegionMask(RegionMask.circle((256, 256), (128, 128), 60, 90).to("cpu").tensor)
    seen: set[type] = set()
    for backbone in BACKBONES:
        network = trained(backbone, "ranlen").train()
        with torch.autocast("cpu", torch.bfloat16):
            maps = network(image, mask.tensor).maps
        assert maps.dtype == torch.float32
        assert (maps.bfloat16() != maps)[maps != 0].float().mean() > 0.9  # there is none in Area C
        if BACKBONES[backbone].field in seen:
            continue  # for the losses, one network of each kind of light is enough
        seen.add(BACKBONES[backbone].field)
        network = Learner(trained(backbone, "ranlen", metered=False).train())
        (exact, parts), (rounded, rounded_parts) = (
            forward(network, RegionLoss(), image, 3 * image, mask, 64, bf16=bf16) for bf16 in (False, True)
        )
        assert rounded.dtype == torch.float32
        assert rounded != exact
        for name, value in parts.items():
            assert rounded_parts[name] == pytest.approx(value, rel=0.05, abs=1e-4), name
        rounded.backward()


def test_checkpoints_that_cannot_be_resumed_from_are_refused(tmp_path):
    path = tmp_path / "last.pt"
    with pytest.raises(CheckpointError, match="nothing to resume"):
        load_checkpoint(path)
    save_checkpoint(path, {"step": 3, "tensor": torch.ones(2)})
    assert load_checkpoint(path)["step"] == 3
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


def test_the_next_batch_is_made_while_one_is_used():
    made, waiting = [], threading.Event()

    def make(step):
        made.append(step)
        if step == 4:
            waiting.set()
        return step

    batches = made_ahead(make, range(3, 6))
    assert next(batches) == 3
    assert waiting.wait(20)  # nobody has asked for it
    assert 5 not in made
    assert list(batches) == [4, 5]
    assert made == [3, 4, 5]
    assert list(made_ahead(make, range(6, 6))) == []


CAMERAS = ["IMG_0001", "DSC_0123", "_MG_4711", "_DSC0001", "PXL_20260506_070809", "20260506_070809"]


@pytest.mark.parametrize("name", CAMERAS)
def test_names_that_cameras_give_are_a_scene_each(name):
    assert data.scene(name) == name


@pytest.mark.parametrize(("name", "scene"), [("s3_1", "s3"), ("7_3-5", "7"), ("kitchen_2", "kitchen"), ("a", "a")])
def test_names_that_people_give_say_the_scene(name, scene):
    assert data.scene(name) == scene


def test_one_scene_alone_ends_in_a_sentence(tmp_path):
    (tmp_path / "split.json").write_text(json.dumps({"train": ["a_1", "a_2"]}), "utf-8-sig")  # as Windows begins a file
    with pytest.raises(data.DataError, match=r"2 photos to train on, all of one scene.*last underscore"):
        loop.load_data(TrainConfig(data=str(tmp_path)))


def test_masks_and_photos_are_found_by_name_in_any_suffix(tmp_path):
    core = np.zeros((64, 96), np.uint8)
    core[16:48, 24:72] = 1
    (tmp_path / "masks").mkdir()
    Image.fromarray(core).save(tmp_path / "masks" / "counts.png")
    Image.fromarray(core * 255).save(tmp_path / "masks" / "white.TIF", "TIFF")
    Image.fromarray(np.dstack([core * 0] * 3 + [core * 255])).save(
        tmp_path / "masks" / unicodedata.normalize("NFD", "é.png")
    )
    shares = [
        float(each.float().mean()) for each in data.load_subjects(tmp_path / "masks", ["counts", "white", "é", "none"])
    ]
    assert shares == pytest.approx([0.25, 0.25, 0.25, 0.0], abs=1e-3)  # at 256 x 256
    assert data.find_image(tmp_path / "masks", "white").name == "white.TIF"
