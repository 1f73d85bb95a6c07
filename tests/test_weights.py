from __future__ import annotations

import json
import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ranlen.models import weights
from ranlen.models.enhancer import Enhancer
from ranlen.models.weights import WeightsError


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A folder of weights with one model, and its path."""
    monkeypatch.setenv("RANLEN_WEIGHTS", str(tmp_path))
    path = tmp_path / "star_dce-global.safetensors"
    weights.save(Enhancer("star_dce", "global"), path, {"note": "for a test"})
    return path


def test_names_lead_to_files_and_blend_runs_on_global(saved):
    assert weights.published() == ["star_dce-global", "star_dce-blend"]
    blend, glob = weights.load("star_dce-blend"), weights.load("star_dce-global")
    assert (blend.method_name, glob.method_name) == ("blend", "global")
    assert not blend.training
    for ours, theirs in zip(blend.parameters(), glob.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert weights.card("star_dce-blend")["card"] == {"note": "for a test"}


def test_a_variance_that_float16_cannot_hold_is_kept(saved):
    network = Enhancer("deepupe", "global")
    network.backbone.fuse.norm.running_var[:] = torch.tensor([70_000.0] + 63 * [1.0])
    weights.save(network, saved, {})
    assert weights.load(saved).backbone.fuse.norm.running_var.tolist() == [70_000.0] + 63 * [1.0]


def rewrite(path, change_about=lambda about: about, change_state=lambda state: state):
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["ranlen"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(change_state(state), path, {"ranlen": json.dumps(change_about(about))})


def drop_one(state):
    return dict(list(state.items())[1:])


def test_files_that_do_not_fit_their_name_are_refused(saved):
    rewrite(saved, change_state=drop_one)
    with pytest.raises(WeightsError, match=r"star_dce-global\.safetensors does not fit the model it names"):
        weights.load("star_dce-global")


def test_a_file_whose_description_is_wrong_is_refused(saved, tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(saved.read_bytes())
    assert weights.load(path).backbone_name == "star_dce"
    rewrite(path, change_about=lambda about: {**about, "backbone": "deepupe"})
    with pytest.raises(WeightsError, match="does not fit"):
        weights.load(path)
    rewrite(path, change_about=lambda about: {**about, "backbone": "../../evil"})
    with pytest.raises(WeightsError, match="does not fit"):
        weights.load(path)
    rewrite(path, change_about=lambda about: [1])
    with pytest.raises(WeightsError, match="holds no RANLEN model"):
        weights.load(path)


def test_damaged_and_foreign_files_are_refused_and_nothing_is_unpickled(saved, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    path = tmp_path / "evil.safetensors"
    for data in (b"", b"PK\x03\x04", saved.read_bytes()[:1000], pickle.dumps(Bomb())):
        path.write_bytes(data)
        with pytest.raises(WeightsError, match=r"evil\.safetensors is damaged or not a safetensors file"):
            weights.load(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="holds no RANLEN model"):
        weights.load(path)


def test_missing_files_and_unknown_names_are_told_apart(saved, tmp_path):
    with pytest.raises(WeightsError, match=r"no weights for deepupe-ranlen: .* is missing"):
        weights.load("deepupe-ranlen")
    with pytest.raises(WeightsError, match=r"unknown model 'none such'; known are star_dce-global, star_dce-blend"):
        weights.load("none such")
    with pytest.raises(WeightsError, match="no such weights file"):
        weights.load(tmp_path / "none.safetensors")
