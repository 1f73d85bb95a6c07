"""Networks as ONNX files: the same light as torch, and the documented program around one."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import ranlen
from ranlen.models.enhancer import Enhancer
from tests.test_docs import ROOT, blocks
from train import export

pytest.importorskip("onnxscript")
pytestmark = pytest.mark.slow


def trained(backbone: str, method: str, *, metered: bool = True) -> Enhancer:
    """A network in which nothing is 0 any more."""
    torch.manual_seed(0)
    network = Enhancer(backbone, method, metered=metered).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return network


@pytest.mark.parametrize(
    ("backbone", "method", "metered", "fades"),
    [("star_dce", "ranlen", True, True), ("deepupe", "concat", True, False), ("zero_dce", "global", False, False)],
)
def test_a_graph_gives_the_light_of_its_network_at_sizes_it_was_not_made_with(
    tmp_path, backbone, method, metered, fades
):
    import onnxruntime

    network, path = trained(backbone, method, metered=metered), tmp_path / "graph.onnx"
    assert export.export(network, path) <= export.TOLERANCE
    inputs = export.example(network, (259, 411), 3)
    assert ("fade" in inputs) == fades
    got = onnxruntime.InferenceSession(path).run(None, {name: each.numpy() for name, each in inputs.items()})
    with torch.inference_mode():
        wanted = export.Graph(network)(**inputs)
    assert len(got) == len(wanted)
    assert got[0].std() > 0.01
    for ours, theirs in zip(got, wanted.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=export.TOLERANCE)


def test_a_graph_that_differs_is_not_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    assert export.main(["star_dce-global", "-o", str(tmp_path)]) == 2
    assert "star_dce-global.onnx differs from torch by" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_documented_program_lights_as_the_package_does(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("RANLEN_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "demo" / "examples", tmp_path / "demo" / "examples")
    assert export.main(["deepupe-ranlen"]) == 0
    (code,) = blocks(Path(ROOT / "docs" / "onnx.md"), "python")
    space: dict = {}
    exec(compile(code, "onnx.md", "exec"), space)
    photo = ranlen.read("demo/examples/coffee.jpg")
    mask = ranlen.region_mask(space["subject"].astype(bool), feather=0.05, feather_side="out")
    wanted = ranlen.light(photo, mask, ranlen.load("deepupe-ranlen"), denoise=0).pixels.astype(int)
    got = cv2.imread("lit.png")[..., ::-1].astype(int)
    kept = space["across"] == 0
    assert np.array_equal(got[kept], photo.pixels[kept])
    assert (got - photo.pixels)[space["subject"] == 1].mean() > 5
    # OpenCV makes photos smaller in another way than torch, and a meter that measures grain sees it.
    assert np.abs(got - wanted)[space["subject"] == 1].mean() < 3
    assert np.abs(got - wanted).mean() < 1
