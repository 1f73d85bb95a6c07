"""One contract for every backbone under every method."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from ranlen.masks.regions import RegionMask
from ranlen.methods import ABLATIONS, METHODS
from ranlen.models import weights
from ranlen.models.backbones import BACKBONES
from ranlen.models.enhancer import Enhancer
from ranlen.models.light import render
from tests.conftest import trained


def test_light_has_the_shape_and_range_its_kind_promises(enhancer, image, mask):
    maps = enhancer.predict(image, mask).maps
    assert maps.shape[0] == 2
    assert torch.isfinite(maps).all()
    lit = render(enhancer.predict(image, mask), image)
    assert lit.shape == image.shape
    assert lit.min() >= 0
    assert lit.max() <= 1 + 1e-6


def test_the_network_does_something_to_the_test_image(enhancer, image, mask):
    assert (render(enhancer.predict(image, mask), image) - image).abs().max() > 0.01


def test_prediction_is_repeatable_and_leaves_no_trace(enhancer, image, mask):
    before = {name: tensor.clone() for name, tensor in enhancer.state_dict().items()}
    first = enhancer.predict(image, mask).maps
    torch.testing.assert_close(enhancer.predict(image, mask).maps, first, rtol=0, atol=0)
    for name, tensor in enhancer.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("method", METHODS | ABLATIONS)
def test_the_mask_matters_for_local_networks_only(backbone, method, enhancers, image, mask):
    enhancer = enhancers[f"{backbone}-{method}"]
    other = RegionMask(mask.tensor.flip(-1))
    change = (enhancer.predict(image, mask).maps - enhancer.predict(image, other).maps).abs().max()
    if method in ("global", "blend"):
        assert change == 0
    else:
        assert change > 1e-3


@pytest.mark.parametrize("method", METHODS | ABLATIONS)
def test_every_parameter_gets_a_finite_gradient(backbone, method, image, mask):
    enhancer = trained(backbone, method).train()
    field = enhancer(image, mask.tensor)
    (render(field, image) - 0.7).square().mean().backward()
    for name, parameter in enhancer.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_two_photos_at_once_equal_one_by_one(enhancer, image, mask):
    both = enhancer.predict(image, mask).maps
    for i in range(2):
        alone = enhancer.predict(image[i : i + 1], RegionMask(mask.tensor[i : i + 1])).maps
        torch.testing.assert_close(both[i : i + 1], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (257, 33)])
def test_odd_and_tiny_sizes_work(enhancer, size):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(3)) * 0.4
    mask = RegionMask.paper_circle(size).to("cpu")
    lit = render(enhancer.predict(image, mask), image)
    assert lit.shape == image.shape
    assert torch.isfinite(lit).all()


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("areas", [(0, 0), (0, 1), (1, 1)])
def test_black_white_and_empty_areas_give_finite_light(enhancer, value, areas):
    image = torch.full((1, 3, 40, 40), value)
    mask = RegionMask(torch.tensor(areas, dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, 40, 40))
    lit = render(enhancer.predict(image, mask), image)
    assert torch.isfinite(lit).all()
    torch.testing.assert_close(lit, image, rtol=0, atol=1e-6)  # black and white are fixed points of every light


def test_saved_and_loaded_weights_predict_the_same(enhancer, image, mask, tmp_path):
    weights.save(enhancer, tmp_path / "1.safetensors", {})
    once = weights.load(tmp_path / "1.safetensors")
    assert (once.backbone_name, once.method_name) == (enhancer.backbone_name, enhancer.method_name)
    # Files hold float16. These random networks amplify its rounding; trained ones move by an eighth of an 8-bit level.
    torch.testing.assert_close(once.predict(image, mask).maps, enhancer.predict(image, mask).maps, rtol=0, atol=0.1)
    weights.save(once, tmp_path / "2.safetensors", {})
    twice = weights.load(tmp_path / "2.safetensors")
    assert torch.equal(twice.predict(image, mask).maps, once.predict(image, mask).maps)


def test_a_deep_copy_predicts_the_same(enhancer, image, mask):
    assert torch.equal(copy.deepcopy(enhancer).predict(image, mask).maps, enhancer.predict(image, mask).maps)


def test_threads_with_different_masks_do_not_mix_them_up(enhancer, image, mask):
    masks = [mask, RegionMask(mask.tensor.flip(-1)), RegionMask(mask.tensor.flip(-2)), RegionMask(mask.tensor.flip(0))]
    alone = [enhancer.predict(image, each).maps for each in masks]
    with ThreadPoolExecutor(4) as pool:
        jobs = [(i % 4, pool.submit(enhancer.predict, image, masks[i % 4])) for i in range(24)]
        for i, job in jobs:
            torch.testing.assert_close(job.result().maps, alone[i], rtol=1e-5, atol=1e-6)


class TensorsOnly(torch.nn.Module):
    """What compilers and exporters want: tensors in, a tensor out."""

    def __init__(self, enhancer: Enhancer) -> None:
        super().__init__()
        self.enhancer = enhancer

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.enhancer(image, mask).maps


@pytest.mark.slow
def test_compiled_without_a_graph_break_it_predicts_the_same(enhancer, image, mask):
    torch.compiler.reset()
    compiled = torch.compile(TensorsOnly(enhancer), fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        # Sums run in another order, through two dozen layers; 1e-4 in a log gain is a fortieth of an 8-bit level.
        ours = enhancer(image, mask.tensor).maps
        torch.testing.assert_close(compiled(image, mask.tensor), ours, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_exported_it_takes_another_mask(enhancer, image, mask):
    exported = torch.export.export(TensorsOnly(enhancer), (image, mask.tensor)).module()
    other = mask.tensor.flip(-1)
    with torch.no_grad():
        torch.testing.assert_close(exported(image, other), enhancer(image, other).maps, rtol=1e-3, atol=1e-4)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=f"unknown backbone 'none such'; known are {', '.join(BACKBONES)}"):
        Enhancer("none such", "ranlen")
    with pytest.raises(ValueError, match=f"unknown method 'none such'; known are {', '.join(METHODS)}"):
        Enhancer("deepupe", "none such")


def test_predict_refuses_what_it_cannot_mean(enhancers, image, mask):
    enhancer = enhancers["deepupe-ranlen"]
    with pytest.raises(ValueError, match=r"an image is a tensor \(N, 3, H, W\); got \(3, 60, 80\)"):
        enhancer.predict(image[0], mask)
    with pytest.raises(ValueError, match="1 images but 2 masks"):
        enhancer.predict(image[:1], mask)
    with pytest.raises(RuntimeError, match="training mode"):
        Enhancer("star_dce", "ranlen").predict(image, mask)


@pytest.mark.parametrize("method", ["concat", "ranlen", "two_areas"])
def test_a_local_network_starts_exactly_where_a_global_one_stands(backbone, method, enhancers, image, mask):
    """Without a light meter, which local networks point at the subject, and global ones at the frame."""
    source = trained(backbone, "global", metered=False)
    local = Enhancer(backbone, method, metered=False).eval()
    local.start_from(source)
    ours, theirs = (each.predict(image, mask).maps for each in (local, source))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=f"can start from {backbone}-global, not from {backbone}-concat"):
        local.start_from(enhancers[f"{backbone}-concat"])


def test_an_untrained_ranlen_network_is_the_global_one(backbone, image, mask):
    """Every norm of it starts at gamma 1, beta 0, and the tail at identity: nothing else may touch them."""
    torch.manual_seed(0)
    ranlen = Enhancer(backbone, "ranlen", metered=False)
    plain = Enhancer(backbone, "global", metered=False)
    plain.load_state_dict(
        {**plain.state_dict(), **{k: v for k, v in ranlen.state_dict().items() if k in plain.state_dict()}}
    )
    ours, theirs = (each.eval().predict(image, mask).maps for each in (ranlen, plain))
    torch.testing.assert_close(ours, theirs)
