"""Weights to the Hub and back, against a Hub on this machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ranlen import networks
from ranlen.masks.regions import RegionMask
from ranlen.models import hub, weights
from ranlen.models.enhancer import Enhancer
from ranlen.models.weights import WeightsError
from tests.fake_hub import fake_hub
from train import push
from train.export import ExportError

ROOT = Path(__file__).parent.parent

ASK = """
import sys
import numpy as np
import ranlen
image = np.linspace(0, 0.5, 3 * 64 * 64, dtype=np.float32).reshape(1, 3, 64, 64)
subject = ranlen.RegionMask.paper_circle((64, 64))
for name, revision in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        network = ranlen.load(name, revision=revision or None)
        light = network.predict(image, subject)
        print(network.backbone_name, network.method_name, network.engine, round(float(light.maps.mean()), 3))
    except ValueError as error:
        print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def network(tmp_path):
    """A file of weights as a run leaves it."""
    torch.manual_seed(0)
    config = {
        "backbone": "star_dce",
        "data": "/home/me/mine",
        "photos": "",
        "subject_masks": "",
        "start": "",
        "lr": 0.1,
    }
    scores = {"psnr_a": 21.5, "psnr_b": 30.25, "epoch": 3}
    enhancer, path = Enhancer("star_dce", "global", metered=False), tmp_path / "best.safetensors"
    weights.save(enhancer, path, {"config": config, "validation": scores})
    return path


@pytest.fixture
def no_graph(monkeypatch):
    """Where a push is tried for all but its graph, which takes long to make."""
    monkeypatch.setattr(push, "export", lambda network, path, made_of: 0.0)


@pytest.mark.slow
def test_pushed_weights_come_back_from_the_hub_and_then_from_the_cache(network, tmp_path):
    other = tmp_path / "other.safetensors"
    weights.save(Enhancer("zero_dce", "concat", metered=False), other, {})

    def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        home = {
            "HF_HOME": str(tmp_path / "hf"),
            "HF_ENDPOINT": endpoint,
            "HF_HUB_OFFLINE": "0",
            "PYTHONPATH": str(ROOT),
        }
        return subprocess.run(
            [sys.executable, *arguments], env={**os.environ, **home, **environment}, cwd=tmp_path,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    before_graphs = {"me/small": {hub.FILE: network.read_bytes()}}
    with fake_hub(before_graphs) as endpoint:
        nobody = python("-m", "train.push", str(other), "me/small")
        assert (nobody.returncode, nobody.stderr.count("\n")) == (2, 1), nobody.stderr
        pushed = python("-m", "train.push", str(other), "me/small", HF_TOKEN="hf_fake")
        first, second = "0" * 40, re.search(r'revision="(\w{40})"', pushed.stdout).group(1)  # type: ignore
        asked = [("me/small", first), ("me/small", ""), ("me/none", ""), ("me/small", "v9"), ("me/small", second)]
        told = python("-c", ASK, *(part for pair in asked for part in pair)).stdout.splitlines()
    image = np.linspace(0, 0.5, 3 * 64 * 64, dtype=np.float32).reshape(1, 3, 64, 64)
    kinds = ((network, "star_dce global torch"), (other, "zero_dce concat onnx"))
    for (path, kind), line in zip(kinds, told[:2], strict=True):
        light = networks.load(path, engine="torch").predict(image, RegionMask.paper_circle((64, 64)))
        assert line == f"{kind} {round(float(light.maps.mean()), 3)}"
    assert told[2].startswith("WeightsError: there is no me/none here or on the Hub")
    assert told[3] == "WeightsError: me/small has no revision v9"
    assert told[4] == told[1]

    again = python("-c", ASK, "me/small", first, "me/small", "", "me/none", "").stdout.splitlines()  # the Hub is gone
    assert again[:2] == told[:2]
    assert again[2].startswith("WeightsError: me/none is not on this machine and the Hub cannot be reached")


def test_without_a_network_it_says_so_at_once(monkeypatch):
    started = time.monotonic()
    with pytest.raises(WeightsError, match=r"nobody/nothing is not on this machine and the Hub cannot be reached"):
        weights.load("nobody/nothing")  # the tests are offline
    assert time.monotonic() - started < 10
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(WeightsError, match=r"needs one package more: pip install 'ranlen\[hub\]'"):
        weights.load("nobody/nothing")


def test_a_repository_is_told_from_a_file_and_a_folder(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [hub.is_repository(name) for name in ("a/b", "a-1/b.2_c", "a", "a/b/c", "/a/b", "../b", "a/b.safetensors")] \
        == [True, True, False, False, False, False, False]  # fmt: skip
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    with pytest.raises(WeightsError, match=r"holds neither model.safetensors nor best.safetensors"):
        weights.load("runs/mine")
    network.rename(tmp_path / "runs" / "mine" / "best.safetensors")
    assert weights.load("runs/mine").backbone_name == "star_dce"
    with pytest.raises(WeightsError, match="a revision is for repositories on the Hub; runs/mine is none"):
        weights.load("runs/mine", revision="main")


def test_a_card_tells_scores_where_the_hub_reads_them_and_no_places(network, no_graph, tmp_path, capsys):
    assert push.main([str(network), "me/small", "--license", "mit", "--only", str(tmp_path / "repo")]) == 0
    card = (tmp_path / "repo" / "README.md").read_text()
    for line in ("license: mit", "library_name: ranlen", "value: 21.5", "name: PSNR in Area B [dB]", "| 30.250 |"):
        assert line in card
    assert 'ranlen.load("me/small")' in card
    told = json.loads((tmp_path / "repo" / "config.json").read_text())
    assert (told["backbone"], told["method"], told["card"]["config"]["data"]) == ("star_dce", "global", "mine")
    for name in ("README.md", "config.json", "model.safetensors"):
        assert b"/home/me" not in (tmp_path / "repo" / name).read_bytes()
    assert weights.load(tmp_path / "repo").method_name == "global"


def test_a_network_without_a_graph_is_pushed_without_and_an_older_one_goes(network, tmp_path, monkeypatch, capsys):
    def refused(network, path, made_of):
        raise ExportError("torch cannot write this network as a graph: it sorts")

    monkeypatch.setattr(push, "export", refused)
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / hub.GRAPH).write_bytes(b"of other weights")
    assert push.main([str(network), "me/small", "--only", str(tmp_path / "repo")]) == 0
    told = capsys.readouterr().err
    assert (told.count("\n"), "without a graph" in told, "it sorts" in told) == (1, True, True)
    assert networks.load(tmp_path / "repo").engine == "torch"


def test_what_is_published_goes_with_its_test_scores(no_graph, tmp_path, monkeypatch):
    monkeypatch.delenv("RANLEN_WEIGHTS", raising=False)
    push.write_repository("star_dce-ranlen", "me/star", "other", tmp_path)
    scores = weights.scores()["models"]["star_dce-ranlen"]["circle"]
    assert f"value: {scores['psnr_a']:.4f}".rstrip("0") in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["deepupe-blend", "me/it"], "deepupe-blend has no weights of its own; push deepupe-global"),
        (["none such", "me/it"], "unknown model 'none such'"),
        (["deepupe-global", "it"], "a repository is named user/repo; got 'it'"),
    ],
)
def test_what_cannot_be_pushed_is_told_in_a_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("RANLEN_WEIGHTS", raising=False)
    assert push.main([*arguments, "--only", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
