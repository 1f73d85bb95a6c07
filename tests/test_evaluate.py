"""Scoring: as figure by figure by hand, with honest intervals, and never in the paper's name without its data."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ranlen.io.images import Photo
from ranlen.masks.regions import RegionMask
from ranlen.models import weights
from ranlen.models.light import render
from train import data, evaluate, intervals, metrics, paper, publish, report, sets
from train.data import DataError
from train.publish import tables
from train.yardsticks import YARDSTICKS, in_8_bits


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """Five pairs of three scenes, 64 x 64, dark by different gammas."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    names = ["a_0", "a_1", "b_0", "c_0", "c_1"]
    for side in ("low", "high"):
        (folder / side).mkdir()
    for i, name in enumerate(names):
        y, x = np.mgrid[:64, :64] / 64
        bright = np.stack([np.abs(np.sin(a * x + b * y)) for a, b in rng.uniform(2, 9, (3, 2))], -1)
        Photo((255 * bright).astype(np.uint8)).write(folder / "high" / f"{name}.png")
        Photo((255 * bright ** (1.5 + 0.3 * i)).astype(np.uint8)).write(folder / "low" / f"{name}.png")
    (folder / "split.json").write_text(json.dumps({"test": names, "single": names[:1]}))
    return folder


@pytest.fixture
def shelf(weights_folder, monkeypatch):
    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))


@pytest.mark.slow
@pytest.mark.usefixtures("shelf")
def test_scores_are_those_of_each_network_by_itself(pairs):
    """What is shared between networks, masks and photos must not leak from one to another."""
    names = ["star_dce-global", "star_dce-blend", "deepupe-blend", "deepupe-ranlen"]
    loaded = data.load_pairs(pairs, data.read_split(pairs, "test"))
    shapes = {shape: sets.masks_for(shape, len(loaded), []) for shape in ("circle", "stroke")}
    networks = {name: weights.load(name) for name in names}
    scores = evaluate.score_networks(networks, loaded, shapes, YARDSTICKS)
    assert list(scores) == [*YARDSTICKS, *names]
    image, reference = loaded.low / 255, loaded.high / 255
    for name, network in networks.items():
        for shape, masks in shapes.items():
            mask = RegionMask(np.concatenate([m.tensor for m in masks])).to("cpu")
            field = network.predict(image, mask)
            raw, kept = (
                in_8_bits(render(field, image, attenuation=a)) for a in (None, network.method.attenuation(mask))
            )
            for figure, values in metrics.score(raw, kept, image, reference, mask).items():
                torch.testing.assert_close(scores[name][shape][figure], values, atol=1e-4, rtol=1e-5, equal_nan=True)
            if shape == "circle":
                lit = (in_8_bits(render(field, image, d / 5)) for d in range(11))
                swept = torch.stack([metrics.psnr(each, reference, mask.a) for each in lit])
                best = scores[name][shape]["psnr_a_best"]
                assert (best >= swept.amax(0) - 0.02).all()  # chosen by some of the pixels
                assert (best >= scores[name][shape]["psnr_a"]).all()
                assert (scores[name][shape]["best_degree"] - swept.argmax(0) / 5).abs().max() < 0.21


class TestIntervals:
    def test_the_interval_of_many_independent_photos_is_that_of_statistics(self):
        values = np.random.default_rng(1).normal(20, 3, 400)
        counts = intervals.resample([f"{i}" for i in range(400)])
        low, high = intervals.interval(values, counts)
        half = 1.96 * values.std() / 20
        assert low == pytest.approx(values.mean() - half, abs=0.06)
        assert high == pytest.approx(values.mean() + half, abs=0.06)

    def test_frames_of_one_scene_are_drawn_together(self):
        """Four frames that say the same are one piece of evidence: the interval is twice as wide as it would seem."""
        values = np.repeat(np.random.default_rng(1).normal(20, 3, 100), 4)
        together = intervals.interval(values, intervals.resample([f"s{i // 4}_{i % 4}" for i in range(400)]))
        apart = intervals.interval(values, intervals.resample([str(i) for i in range(400)]))
        assert together[1] - together[0] == pytest.approx(2 * (apart[1] - apart[0]), rel=0.1)
        assert intervals.describe(["a_0", "a_1", "b_0"])["over"] == "scenes"
        assert intervals.describe(["a_0", "b_0"])["over"] == "photos"

    def test_photos_without_a_value_are_left_out(self):
        names = [str(i) for i in range(5)]
        low, high = intervals.interval(np.array([1.0, 3.0, np.nan, np.nan, 2.0]), intervals.resample(names))
        assert 1 <= low < 2 < high <= 3
        assert intervals.interval(np.array([1.0, *[np.nan] * 4]), intervals.resample(names)) is None
        assert intervals.interval(np.array([1.0, 2.0]), intervals.resample(["a_0", "a_1"])) is None

    def test_the_same_every_time(self):
        np.testing.assert_array_equal(
            intervals.resample(["a_0", "b_0", "b_1"]), intervals.resample(["a_0", "b_0", "b_1"])
        )


def test_ranlen_is_compared_with_its_own_backbone():
    kinds = [("deepupe", "global"), ("deepupe", "blend"), ("deepupe", "ranlen"), ("star_dce", "concat")]
    networks = {f"{b}-{m}": {"backbone": b, "method": m} for b, m in kinds}
    networks["mine.safetensors"] = {"backbone": "deepupe", "method": "ranlen"}
    found = list(report.comparisons(networks))
    assert ("deepupe-ranlen", "deepupe-global", "psnr_a") in found
    assert ("deepupe-ranlen", "deepupe-global", "psnr_b") not in found  # it does not fade
    assert ("deepupe-ranlen", "deepupe-blend", "psnr_b") in found
    assert ("deepupe-ranlen", "deepupe-blend", "psnr_a_best") in found
    assert ("deepupe-ranlen", "meter", "psnr_a") not in found
    found = list(report.comparisons(networks, ["input", "meter", "one gain (oracle)"]))
    assert ("deepupe-ranlen", "meter", "psnr_a") in found
    assert ("mine.safetensors", "one gain (oracle)", "psnr_a_best") in found
    assert ("deepupe-ranlen", "mine.safetensors", "psnr_a") in found
    assert ("mine.safetensors", "deepupe-ranlen", "psnr_a") not in found
    assert not any("star_dce" in other for _, other, _ in found)


def scored(networks: dict[str, tuple[str, str]], psnr: dict[str, list[float]], data="folder") -> report.Scored:
    """Made-up scores under circles."""
    count = len(psnr["input"])
    figures = [*report.FIGURES, "psnr_a_literal"]
    scores = {n: {"circle": dict.fromkeys(figures, torch.tensor(v))} for n, v in psnr.items()}
    about = {name: {"backbone": b, "method": m, "trained_on": "somewhere"} for name, (b, m) in networks.items()}
    return report.Scored(data, "test", [f"p{i}_0" for i in range(count)], about, scores)


def test_differences_are_paired():
    """Photos differ by 20 dB, two networks always by 1: the interval of the difference is a point."""
    kinds = {"deepupe-concat": ("deepupe", "concat"), "deepupe-ranlen": ("deepupe", "ranlen")}
    base = [10.0, 20, 30, 15, 25]
    made = scored(kinds, {"input": base, "deepupe-concat": base, "deepupe-ranlen": [x + 1 for x in base]})
    summary = report.summarise(made)
    for row in summary["differences"]["circle"]:
        assert (row["of"], row["minus"], row["mean"]) == ("deepupe-ranlen", "deepupe-concat", 1)
        assert row["ci95"] == [1, 1]
    low, high = summary["models"]["deepupe-ranlen"]["circle"]["ci95"]["psnr_a"]
    assert high - low > 5
    text = report.as_text(summary)
    assert "95 % interval (2000 resamples of 5 photos)" in text
    assert "+1.00..+1.00" in text
    assert f"| 21.00 ({low:.1f} to {high:.1f}) |" in tables(summary, ["circle"])


class TestOverSets:
    def made(self) -> report.Report:
        """Two sets, of 5 and 40 photos, on which RANLEN is 1 and 3 dB above the meter."""
        few, many = [10.0, 20, 30, 15, 25], np.random.default_rng(0).normal(20, 3, 40).tolist()
        rows = [(values, [x + gain for x in values]) for values, gain in ((few, 1), (many, 3))]
        kinds = {"deepupe-ranlen": ("deepupe", "ranlen")}
        return report.summarise_all(
            [
                scored(kinds, {"input": base, "meter": base, "deepupe-ranlen": mine}, name)
                for (base, mine), name in zip(rows, ("few", "many"), strict=True)
            ]
        )

    def test_every_set_counts_the_same(self):
        made = self.made()
        over = made["over_sets"]
        assert over["sets"] == ["few", "many"]
        [difference] = over["differences"]
        assert (difference["of"], difference["minus"]) == ("deepupe-ranlen", "meter")
        assert difference["means"] == pytest.approx([1, 3], abs=1e-5)
        assert difference["mean"] == pytest.approx(2, abs=1e-5)
        assert difference["ci95"] == pytest.approx([2, 2], abs=1e-5)
        row = over["models"]["deepupe-ranlen"]["psnr_a"]
        assert row["mean"] == pytest.approx(sum(row["means"]) / 2)
        assert row["ci95"][0] < row["mean"] < row["ci95"][1]
        assert made["others"]["many"]["models"]["input"]["circle"]["images"] == 40

    def test_sets_are_resampled_apart(self):
        """Means of two sets that say the same vary by a factor of sqrt(2) less than one: not the same scenes twice."""
        values = np.random.default_rng(1).normal(20, 3, 200).tolist()
        two = report.summarise_all([scored({}, {"input": values}, name) for name in "ab"])
        one = two["models"]["input"]["circle"]["ci95"]["psnr_a"]
        both = two["over_sets"]["models"]["input"]["psnr_a"]["ci95"]
        assert (one[1] - one[0]) / (both[1] - both[0]) == pytest.approx(2**0.5, rel=0.1)

    def test_text_and_page_show_each_set_and_the_mean(self):
        made = self.made()
        text = report.as_text(made)
        assert text.count("95 % interval (") == 2
        last = [line.split() for line in text.splitlines()]
        assert ["few", "many", "mean"] in last
        assert ["deepupe-ranlen", "-", "meter", "+1.00", "+3.00", "+2.00", "+2.00..+2.00"] in last
        page = tables(made, ["circle"])
        assert "| | few | many | mean |" in page
        assert "| deepupe-ranlen | 21.00 / 21.00 |" in page

    def test_one_set_has_no_such_table(self):
        made = report.summarise_all([scored({}, {"input": [1.0, 2]})])
        assert not {"over_sets", "others"} & made.keys()
        assert "mean" not in tables(made, ["circle"])


KINDS = {"star_dce-ranlen": ("star_dce", "ranlen"), "deepupe-global": ("deepupe", "global")}


class TestPaper:
    def rows(self, name: str | None) -> dict[str, list[str]]:
        summary = report.summarise(scored(KINDS, {"input": [1.0, 2], **{k: [18.0, 19] for k in KINDS}}))
        lines = paper.as_text(summary, name).splitlines()
        rows = [line for line in lines if line.startswith(("STAR", "DeepUPE"))]
        return {" ".join(row.split()[:2]): row for row in rows}

    def test_only_the_papers_set_is_printed_as_it(self):
        rows = self.rows(None)
        assert len(rows) == 12
        assert all("not run: needs " in row for row in rows.values())
        rows = self.rows("fivek")
        assert "19.03 / 0.974" in rows["STAR-DCE-RANLEN FiveK"]
        assert "18.50" in rows["STAR-DCE-RANLEN FiveK"]
        assert "trained on somewhere" in rows["STAR-DCE-RANLEN FiveK"]
        assert "needs UIEB" in rows["STAR-DCE-RANLEN UIEB"]
        assert "needs weights of deepupe-ranlen" in rows["DeepUPE-RANLEN FiveK"]
        assert "14.83 / 0.944" in rows["DeepUPE UIEB"]

    def test_a_sample_is_not_the_papers_set(self, pairs, capsys):
        paper.check("uieb", 78)
        with pytest.raises(DataError, match="tests on 500 photos of FiveK, this split has 14"):
            paper.check("fivek", 14)
        assert evaluate.main(["--data", str(pairs), "--paper", "fivek"]) == 2
        assert "leave the flag out" in capsys.readouterr().err


@pytest.mark.usefixtures("shelf")
def test_the_command_prints_and_writes_everything(pairs, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine" / "best.safetensors"
    weights.save(weights.load("star_dce-concat"), path, {"config": {"data": "/somewhere/else"}})
    models = f"star_dce-ranlen,{path}"
    out = {"--json": tmp_path / "o.json", "--csv": tmp_path / "o.csv"}
    command = ["--data", str(pairs), "--models", models, "--masks", "circle,rectangle"]
    assert evaluate.main([*command, *(str(x) for pair in out.items() for x in pair)]) == 0
    printed = capsys.readouterr().out
    assert "resamples of 3 scenes" in printed
    assert f"star_dce-ranlen - {path}" in printed
    assert "not run: needs FiveK" in printed
    written = json.loads(out["--json"].read_text())
    circle = written["models"]["star_dce-ranlen"]["circle"]
    assert circle["images"] == 5
    low, high = circle["ci95"]["psnr_a"]
    assert low < circle["psnr_a"] < high
    assert written["networks"][str(path)]["trained_on"] == "else"
    assert {row["minus"] for row in written["differences"]["rectangle"]} == {str(path), *report.RIVALS}
    rows = list(csv.DictReader(out["--csv"].open()))
    assert len(rows) == (len(YARDSTICKS) + 2) * 5 * 2  # models, photos, shapes
    mine = [float(r["psnr_a"]) for r in rows if (r["model"], r["mask"]) == ("star_dce-ranlen", "circle")]
    assert np.mean(mine) == pytest.approx(circle["psnr_a"], rel=1e-5)


def test_evaluation_refuses_masks_it_does_not_have(pairs, tmp_path, capsys):
    assert evaluate.main(["--data", str(pairs), "--masks", "subject"]) == 2
    assert "no masks of the kind 'subject'" in capsys.readouterr().err
    for masks in ("--subject-masks", "--silhouettes"):
        for main in (evaluate.main, publish.main):
            assert main(["--data", str(pairs), masks, str(tmp_path / "none")]) == 2
            assert f"no masks in {tmp_path / 'none'}" in capsys.readouterr().err


@pytest.mark.usefixtures("shelf")
def test_several_sets_are_scored_in_one_go(pairs, tmp_path, capsys):
    """Real pairs, subjects against the light, two things, linear light: each with its own masks, and all together."""
    rng = np.random.default_rng(0)
    people = tmp_path / "people"
    for side in ("image", "mask"):
        (people / side).mkdir(parents=True)
    mask = np.zeros((64, 64, 3), np.uint8)
    mask[20:50, 20:50] = 255
    for i in range(3):
        Photo(rng.integers(90, 160, (64, 64, 3), dtype=np.uint8)).write(people / "image" / f"p{i}.png")
        Photo(mask).write(people / "mask" / f"p{i}.png")
    hdr = tmp_path / "hdr"
    hdr.mkdir()
    for i in range(2):
        np.savez(hdr / f"room{i}_0.npz", linear=rng.random((64, 64, 3)).astype(np.float16))
    table = tmp_path / "all.csv"
    command = ["--models", "star_dce-ranlen", "--sets", f"real={pairs}:test", f"{hdr}:all"]
    command += ["--backlit", f"{people}:all", "--two-things", f"{people}:all", "--most", "2", "--csv", str(table)]
    assert evaluate.main(command) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["real", "hdr", "backlit", "two", "things", "mean"] in printed
    rows = list(csv.DictReader(table.open()))
    kinds = {"real": "circle", "hdr": "circle", "backlit": "subject", "two things": "subject"}
    assert {(row["set"], row["mask"]) for row in rows} == set(kinds.items())
    assert len(rows) == 4 * 2 * (len(YARDSTICKS) + 1)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ([], "nothing to score on"),
        (["--paper", "fivek"], "--paper fivek needs --data"),
        (["--sets", "{}", "--most", "0"], "--most is a number of photos, at least 1; got 0"),
        (["--sets", "x={}/low"], "has no low/ and no high/"),
        (["--backlit", "{}"], "has no image/ and no mask/; backlit needs a folder with image/ and mask/"),
        (["--sets", "{}", "{}"], "two sets are named {}; give one another name, NAME=FOLDER"),
        (["--sets", "{}:tset"], "no split 'tset'"),
    ],
)
def test_what_cannot_be_scored_on_is_said_in_a_line(pairs, command, said, capsys):
    assert evaluate.main([*(each.format(pairs) for each in command), "--models", "star_dce-global"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said.format(pairs.name) in error
