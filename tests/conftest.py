"""Small seeded things to test with. No network, no GPU, no files from outside the repo."""

from __future__ import annotations

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RANLEN_SEGMENTER", "grabcut")  # at once; what tests SAM says so

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ranlen.cli import inputs
from ranlen.io.images import Photo
from ranlen.masks.regions import RegionMask
from ranlen.methods import ABLATIONS, METHODS
from ranlen.models import weights
from ranlen.models.backbones import BACKBONES
from ranlen.models.enhancer import Enhancer
from ranlen.networks import TorchNetwork
from ranlen.segment import checkpoints, choice

torch.set_num_threads(1)  # two of these run at once


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def no_segmenter_of_before() -> Iterator[None]:
    """A run of the command line loads its segmenter once; each test is a run of its own."""
    yield
    inputs.load_segmenter.cache_clear()


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without checkpoints of SAM, where nobody said which segmenter to take."""
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    monkeypatch.delenv(checkpoints.VARIABLE, raising=False)
    monkeypatch.setattr(checkpoints, "_from_hub", lambda published, local_files_only: None)
    monkeypatch.setattr(checkpoints, "shipped", lambda: None)


@pytest.fixture
def image() -> torch.Tensor:
    """A dark image (2, 3, 60, 80): smooth, with some texture."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(2, 3, 6, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(60, 80), mode="bilinear")
    return (0.35 * smooth + 0.05 * torch.rand(2, 3, 60, 80, generator=generator)).clamp(0, 1)


@pytest.fixture
def mask() -> RegionMask:
    """Two different masks of 60 x 80, as networks learn by them."""
    discs = [RegionMask.circle((60, 80), center, 14, 24).tensor for center in ((30, 30), (55, 25))]
    return RegionMask(np.concatenate(discs)).to("cpu")


@pytest.fixture
def photo(rng: np.random.Generator) -> Photo:
    """A dark photo of 90 x 120."""
    return Photo(rng.integers(0, 90, (90, 120, 3), dtype=np.uint8))


def trained(backbone: str, method: str, seed: int = 0, *, metered: bool = True) -> Enhancer:
    """An enhancer as if trained, in evaluation mode: nothing is at its neutral start, statistics fit its features."""
    torch.manual_seed(seed)
    enhancer = Enhancer(backbone, method, metered=metered)
    generator = torch.Generator().manual_seed(seed)
    norms = [layer for layer in enhancer.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for parameter in enhancer.parameters():
            if (parameter == parameter.flatten()[0]).all():  # constant at the start
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for norm in norms:
            norm.momentum = 1.0
        enhancer.train()(
            torch.rand(4, 3, 64, 64, generator=generator) * 0.5,
            RegionMask.paper_circle((64, 64)).to("cpu").tensor.expand(4, -1, -1, -1),
        )
        for norm in norms:
            norm.momentum = 0.1
    return enhancer.eval()


@pytest.fixture(scope="session")
def enhancers() -> dict[str, Enhancer]:
    """Every backbone under every method, ablations too."""
    return {f"{b}-{m}": trained(b, m) for b in BACKBONES for m in METHODS | ABLATIONS}


@pytest.fixture(scope="session")
def networks(enhancers: dict[str, Enhancer]) -> dict[str, TorchNetwork]:
    """The same as they light photos."""
    return {name: TorchNetwork(enhancer) for name, enhancer in enhancers.items()}


@pytest.fixture(params=BACKBONES)
def backbone(request: pytest.FixtureRequest) -> str:
    """The name of each backbone."""
    return request.param


@pytest.fixture(params=[f"{b}-{m}" for b in BACKBONES for m in METHODS | ABLATIONS])
def enhancer(request: pytest.FixtureRequest, enhancers: dict[str, Enhancer]) -> Enhancer:
    return enhancers[request.param]


@pytest.fixture
def network(enhancer: Enhancer) -> TorchNetwork:
    return TorchNetwork(enhancer)


@pytest.fixture(scope="session")
def weights_folder(enhancers: dict[str, Enhancer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights as published ones lie, of networks that are not really trained."""
    folder = tmp_path_factory.mktemp("weights")
    for name, enhancer in enhancers.items():
        if enhancer.method_name in METHODS and enhancer.method.weights is None:
            weights.save(enhancer, folder / f"{name}.safetensors", {})
    return folder


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pairs of four scenes and two test pairs, 64 x 64."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    names = [f"s{i // 2}_{i % 2}" for i in range(10)]
    for side in ("low", "high"):
        (folder / side).mkdir()
    for name in names:
        y, x = np.mgrid[:64, :64] / 64
        bright = np.stack([np.abs(np.sin(a * x + b * y)) for a, b in rng.uniform(2, 9, (3, 2))], -1)
        Photo((255 * bright).astype(np.uint8)).write(folder / "high" / f"{name}.png")
        Photo((255 * bright * 0.25).astype(np.uint8)).write(folder / "low" / f"{name}.png")
    (folder / "split.json").write_text(json.dumps({"train": names[:8], "test": names[8:]}))
    return folder


@pytest.fixture(scope="session")
def server(weights_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page on a free port, with networks that are not really trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANLEN_WEIGHTS", str(weights_folder))
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        from demo import models, ui

        models.load.cache_clear()
        page = ui.build()
        _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **ui.LAUNCH)
        yield url
        page.close()
        models.load.cache_clear()
