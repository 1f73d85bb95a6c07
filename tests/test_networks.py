"""Two engines, one light; and a product that does not need torch."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ranlen import networks, onnx, retouch
from ranlen.arrays import most_around, resize
from ranlen.io import images
from ranlen.io.images import Photo
from ranlen.masks import shapes
from ranlen.masks.regions import RegionMask
from ranlen.models import weights
from ranlen.models.weights import WeightsError
from ranlen.networks import OnnxNetwork, TorchNetwork

GRAPHS = sorted(path.stem for path in weights.shipped().glob("*-*.onnx"))


@pytest.fixture(scope="module")
def both() -> dict[str, tuple[OnnxNetwork, TorchNetwork]]:
    """Each published network in both engines."""
    paths = {name: weights.shipped() / f"{name}.safetensors" for name in GRAPHS}
    return {
        name: (networks.load(path, engine="onnx"), networks.load(path, engine="torch")) for name, path in paths.items()
    }


def dark(rng: np.random.Generator, *size: int) -> np.ndarray:
    """Images (N, 3, H, W), smooth and grainy, none of them all but white."""
    coarse = rng.random((*size[:2], 5, 7), dtype=np.float32)
    return 0.6 * resize(coarse, size[2:]) + 0.1 * rng.random(size, dtype=np.float32)


def test_every_published_network_has_a_graph():
    there = {path.stem for path in weights.shipped().glob("*-*.safetensors")}
    assert set(GRAPHS) == there
    assert (weights.shipped() / "denoiser.onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("size", [(1, 60, 80), (2, 300, 411), (1, 1024, 100)], ids=str)
def test_the_engines_give_the_same_light(name, size, both, rng):
    count, *side = size
    image = dark(rng, count, 3, *side)
    one = RegionMask.circle((90, 120), (50, 40), 17, 30)
    fading = RegionMask(one.tensor, one.ramp() * 0.7)
    for mask in (one, fading):
        masks = RegionMask(*(np.repeat(each, count, 0) for each in (mask.tensor, mask.ramp())))
        fields = [network.predict(image, masks) for network in both[name]]
        for ours, theirs in zip(vars(fields[0]).values(), vars(fields[1]).values(), strict=True):
            assert np.abs(ours - theirs).max() < 1e-4
        assert np.abs(fields[0].maps).max() > 0.1
        assert fields[0].maps.shape == (count, 3, *(max(257, length) for length in side))


@pytest.mark.parametrize("name", ["deepupe-ranlen", "star_dce-concat"])
@pytest.mark.parametrize("size", [(1, 2), (37, 53), (400, 300)], ids=str)
def test_the_engines_give_the_same_pixels(name, size, both, rng):
    photo = Photo((dark(rng, 1, 3, *size)[0].transpose(1, 2, 0) * 255).astype(np.uint8))
    core = np.zeros(size, bool)
    core[: max(1, size[0] // 2), : max(1, size[1] // 2)] = True
    mask = retouch.region_mask(core)
    lit = [retouch.light(photo, mask, network, 1.5).pixels.astype(int) for network in both[name]]
    assert np.abs(lit[0] - lit[1]).max() <= 1


def test_a_grid_is_read_as_its_graph_reads_it(both, rng):
    """`rendering.grid`, against the maps that ONNX Runtime makes of the same."""
    network = both["deepupe-ranlen"][0]
    image = dark(rng, 1, 3, 280, 330)
    mask = RegionMask.circle((280, 330), (150, 140), 60, 90)
    ours = network.predict(image, mask).maps
    seen = networks.shown(network.method, image, mask.tensor, image, metered=True)
    areas = np.concatenate([seen.mask, networks.smooth_ramp(seen.mask)], 1)
    inputs = {"image": seen.image, "mask": areas, "detail": seen.detail, "fade": seen.fade}
    maps = network.session.run(["maps"], inputs)[0]
    assert np.abs(ours - maps).max() < 1e-5


@pytest.mark.parametrize("sizes", [((683, 1024), (256, 256)), ((60, 80), (256, 256)), ((300, 40), (37, 53))], ids=str)
def test_numpy_and_torch_resize_alike(sizes, rng):
    before, after = sizes
    maps = rng.random((2, 3, *before), dtype=np.float32)
    tensor = torch.from_numpy(maps)
    np.testing.assert_allclose(resize(maps, after), resize(tensor, after).numpy(), atol=1e-6)
    assert np.array_equal(most_around(maps, after), most_around(tensor, after).numpy())


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with one network and its graph."""
    for suffix in (".safetensors", ".onnx"):
        shutil.copy(weights.shipped() / f"star_dce-ranlen{suffix}", tmp_path)
    monkeypatch.setenv("RANLEN_WEIGHTS", str(tmp_path))
    return tmp_path


def test_what_runs_a_network(folder, monkeypatch):
    assert networks.load("star_dce-ranlen").engine == "onnx"
    assert networks.load(folder / "star_dce-ranlen.safetensors", engine="torch").engine == "torch"
    monkeypatch.setenv("RANLEN_ENGINE", "torch")
    assert networks.load("star_dce-ranlen").engine == "torch"
    assert networks.load(folder / "star_dce-ranlen.onnx").engine == "onnx"  # which has no weights for torch
    monkeypatch.setenv("RANLEN_ENGINE", "caffe")
    with pytest.raises(WeightsError, match="unknown engine 'caffe'"):
        networks.load("star_dce-ranlen")
    monkeypatch.delenv("RANLEN_ENGINE")
    (folder / "star_dce-ranlen.onnx").unlink()
    assert networks.load("star_dce-ranlen").engine == "torch"
    with pytest.raises(WeightsError, match="no such weights file"):
        networks.load("star_dce-ranlen", engine="onnx")
    monkeypatch.setattr(networks, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"no graph, and torch is not installed; pip install 'ranlen\[torch\]'"):
        networks.load("star_dce-ranlen")


def test_a_graph_of_other_weights_is_refused(folder):
    shutil.copy(weights.shipped() / "star_dce-global.safetensors", folder / "star_dce-ranlen.safetensors")
    with pytest.raises(WeightsError, match="was made of other weights than lie beside it; delete it, or make it"):
        networks.load("star_dce-ranlen")
    (folder / "star_dce-ranlen.safetensors").unlink()
    assert networks.load(folder / "star_dce-ranlen.onnx").method_name == "ranlen"


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "another's"])
def test_a_damaged_graph_is_refused_in_one_line(damage, folder):
    path = folder / "star_dce-ranlen.onnx"
    data = path.read_bytes()
    if damage == "another's":
        import onnx

        model = onnx.load_from_string(data)
        del model.metadata_props[:]
        data = model.SerializeToString()
    path.write_bytes({"cut": data[:-9999], "noise": os.urandom(9999), "empty": b""}.get(damage, data))
    with pytest.raises(WeightsError, match="get it again") as caught:
        networks.load(path)
    assert "\n" not in str(caught.value)


def test_another_process_gets_a_network_by_its_file(folder, rng):
    network = networks.load("star_dce-ranlen")
    again = pickle.loads(pickle.dumps(network))
    image, mask = dark(rng, 1, 3, 60, 80), RegionMask.paper_circle((60, 80))
    assert np.array_equal(network.predict(image, mask).maps, again.predict(image, mask).maps)


def test_a_wrong_number_of_masks_or_channels_is_refused(both, rng):
    mask = RegionMask.paper_circle((60, 80))
    for network in both["star_dce-ranlen"]:
        with pytest.raises(ValueError, match="2 images but 1 masks"):
            network.predict(dark(rng, 2, 3, 60, 80), mask)
        with pytest.raises(ValueError, match=r"an image is an array \(N, 3, H, W\); got \(1, 4, 60, 80\)"):
            network.predict(dark(rng, 1, 4, 60, 80), mask)


def test_onnx_runtime_counts_nothing_and_leaves_no_files(tmp_path):
    code = "import ranlen; ranlen.load('deepupe-ranlen').session"
    ours = ("RANLEN_", "ORT_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True)
    assert not list(tmp_path.iterdir())


def test_what_a_pooled_graph_answers_keeps_none_of_the_pool():
    session, _ = weights.open_graph(weights.shipped() / "denoiser.onnx", pooled=True)
    image = np.full((1, 3, 48, 64), 0.3, np.float32)
    (answer,) = onnx.run(session, {"image": image}, [image.shape])
    assert answer.flags.owndata
    assert not session.run(None, {"image": image})[0].flags.owndata  # as ONNX Runtime answers by itself
    np.testing.assert_array_equal(answer, session.run(None, {"image": image})[0])


EXAMPLE = Path(__file__).parent.parent / "demo" / "examples" / "astronaut.jpg"
COMMANDS = [
    "light a.png -o b.png --circle 60,45,20 --denoise 1",
    "light a.png -o out --mask m.png --model star_dce-concat",
    "compare a.png -o sheet.png --circle 60,45,20",
    "segment a.png -o found.png --click 60,45",
    f"light {EXAMPLE} -o c.jpg --click 225,150",
    "models",
]


@pytest.mark.slow
def test_command_line_package_and_page_never_import_torch(tmp_path, photo):
    """Beside a torch that cannot be imported."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise SystemError('torch was imported')")
    photo.write(tmp_path / "a.png")
    images.mask_photo(shapes.disc(photo.size, (60, 45), 20)).write(tmp_path / "m.png")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])}
    env = {name: value for name, value in env.items() if not name.startswith("RANLEN_")}
    for command in COMMANDS:
        run = [sys.executable, "-m", "ranlen", *command.split()]
        done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)
    names = "import ranlen; [getattr(ranlen, name) for name in ranlen.__all__ if name not in ('Enhancer', 'convert')]"
    page = "from demo import models, ui; models.segmenter(); models.load('deepupe-ranlen'); ui.build()"
    for code in (names, page):
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True)
