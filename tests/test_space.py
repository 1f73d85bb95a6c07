"""The Space: a folder that runs by itself, and a GPU that is lent to two calls only."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

import pytest

from demo import make_space
from ranlen import retouch
from ranlen.io import images
from ranlen.masks import shapes
from tests.serving import started


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("space") / "space"
    assert make_space.main([str(target)]) == 0
    return target


@pytest.mark.slow
def test_the_folder_runs_by_itself_and_lights_a_photo(folder):
    from gradio_client import Client, handle_file

    example = folder / "demo" / "examples" / "coffee.jpg"
    with started(folder) as url:
        client = Client(url, verbose=False)
        result = client.predict(photo=handle_file(example), model="star_dce-ranlen", api_name="/light")
    before, after = (images.read(Path(path)).pixels for path in (example, result))
    assert before.shape == after.shape
    assert (before != after).any()


def test_the_folder_holds_what_a_space_needs_and_is_small(folder):
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < make_space.LIMIT
    front = (folder / "README.md").read_text().split("---")[1]
    wanted = (folder / "requirements.txt").read_text().splitlines()
    gradio = next(line for line in wanted if line.startswith("gradio==")).removeprefix("gradio==").replace("*", "0")
    for line in ("sdk: gradio", "app_file: app.py", f"sdk_version: {gradio}"):
        assert line in front
    assert not list(folder.rglob("__pycache__"))
    assert not (folder / "weights" / make_space.FOR_A_GPU).exists()
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*make_space.PARTS, "README.md", "requirements.txt"]
    )


def test_it_can_be_made_again_but_not_over_something_else(folder, tmp_path, capsys):
    (folder / ".git").mkdir()
    (folder / "ranlen" / "gone.py").write_text("")
    assert make_space.main([str(folder), "--hardware", "zero"]) == 0
    assert (folder / ".git").exists()
    assert not (folder / "ranlen" / "gone.py").exists()
    assert f"torch=={make_space.ZERO_TORCH}\n" in (folder / "requirements.txt").read_text()
    assert (folder / "weights" / make_space.FOR_A_GPU).exists()
    (folder / ".git").rmdir()
    (tmp_path / "precious.txt").write_text("")
    assert make_space.main([str(tmp_path)]) == 2
    assert "is neither empty nor a Space" in capsys.readouterr().err


@pytest.fixture
def lender(monkeypatch):
    """A `spaces` package that keeps count of what it lends for."""
    from demo import models

    package = types.ModuleType("spaces")
    package.marked, package.calls = [], []

    def lend(duration):
        def decorate(call):
            package.marked.append(call.__name__)

            def wrapped(*arguments):
                package.calls.append(call.__name__)
                return call(*arguments)

            return wrapped

        return decorate

    package.GPU = lend
    monkeypatch.setitem(sys.modules, "spaces", package)
    importlib.reload(models)
    yield package
    monkeypatch.undo()
    importlib.reload(models)


def test_a_gpu_is_lent_to_the_two_model_calls_and_to_nothing_else(lender, photo, networks):
    from demo import models

    assert lender.marked == ["_predict", "_encode"]
    mask = retouch.region_mask(shapes.disc(photo.size, (60, 45), 20))
    lit = models.light(photo, mask, networks["star_dce-ranlen"], 1.0)
    assert lender.calls == ["_predict"]
    assert (lit.pixels == retouch.light(photo, mask, networks["star_dce-ranlen"]).pixels).all()
    retouch.render(photo, models.predict(photo, mask, networks["star_dce-ranlen"]), 0.5)
    assert lender.calls == ["_predict", "_predict"]

    sam, grabcut = (types.SimpleNamespace(name=name, prepare=lambda view: view) for name in ("sam", "grabcut"))
    assert models.prepare(grabcut, photo) is photo
    assert lender.calls[2:] == []
    assert models.prepare(sam, photo) is photo
    assert lender.calls[2:] == ["_encode"]
