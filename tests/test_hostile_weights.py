"""Weights from anybody: what is not what it says is refused by name, before it is allocated."""

from __future__ import annotations

import json
import os

import pytest

from ranlen import networks
from ranlen.models import weights
from ranlen.models.weights import WeightsError


@pytest.fixture
def published(tmp_path, weights_folder, monkeypatch):
    """A folder of published weights with their sums."""
    folder = tmp_path / "published"
    folder.mkdir()
    for path in weights_folder.glob("star_dce-*.safetensors"):
        (folder / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("RANLEN_WEIGHTS", str(folder))
    (folder / weights.SCORES).write_text(json.dumps({"sha256": weights.digests()}))
    return folder


def test_a_published_file_is_the_one_that_was_published(published):
    weights.load("star_dce-ranlen")
    path = published / "star_dce-ranlen.safetensors"
    weights.save(weights.load("star_dce-concat"), path, {})  # sound, and not what was published
    with pytest.raises(WeightsError, match=r"star_dce-ranlen\.safetensors is not the file that was published"):
        weights.load("star_dce-ranlen")
    with pytest.raises(WeightsError, match="sha256 differs"):
        weights.card(path)
    (published / weights.SCORES).write_text(json.dumps({"sha256": weights.digests()}))
    with pytest.raises(WeightsError, match="does not fit the model it names"):  # another method under this name
        weights.load("star_dce-ranlen")


def test_who_may_not_name_files_gets_published_models_only(published):
    assert networks.load_published("star_dce-ranlen").method_name == "ranlen"
    for name in (str(published / "star_dce-ranlen.safetensors"), "../a.safetensors", "deepupe-ranlen", "<b>\n", ""):
        with pytest.raises(WeightsError, match="unknown model") as caught:
            networks.load_published(name)
        assert "\n" not in str(caught.value)


def test_hostile_weights_are_refused_before_they_are_allocated(published, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    whole = (published / "star_dce-ranlen.safetensors").read_bytes()
    count = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + count])

    def with_header(changed, body):
        text = json.dumps(changed).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + body)
        return path

    name = next(key for key, about in header.items() if about.get("dtype") == "F16")
    vast = {**header, name: {**header[name], "shape": [2**40, 2**20]}}
    hostile = {
        "promises more than there is": lambda: with_header(vast, whole[8 + count :]),
        "has a header as long as the world": lambda: path.write_bytes(b"\xff" * 8 + whole[8:]),
        "is cut short": lambda: path.write_bytes(whole[:-10]),
    }
    for make in hostile.values():
        make()
        with pytest.raises(WeightsError, match=r"a\.safetensors is damaged or not a safetensors file"):
            weights.load(path)
    nan = bytearray(whole)
    start = 8 + count + header[name]["data_offsets"][0]
    nan[start : start + 2] = b"\x00\x7e"  # as float16
    path.write_bytes(nan)
    with pytest.raises(WeightsError, match="no finite numbers"):
        weights.load(path)
    os.remove(path)
    os.mkfifo(path)
    with pytest.raises(WeightsError, match="not a file"):
        weights.load(path)
    monkeypatch.setattr(weights, "MAX_BYTES", 1000)
    with pytest.raises(WeightsError, match="at most"):
        weights.load("star_dce-ranlen")
