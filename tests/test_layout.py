"""Who may import whom, checked on the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = sorted((ROOT / "ranlen").rglob("*.py"))

# Each module of the core may import those named here, and nothing else of the core.
ALLOWED = {
    "files": set(),
    "hub": set(),
    "shapes": set(),
    "regions": {"shapes"},
    "layers": {"regions"},
    "fields": {"regions"},
    "enlarge": {"regions"},
    "fullsize": {"enlarge", "fields", "regions"},
    "backbones": {"layers", "fields", "backbones", "conversion", "regions"},
    "conversion": {"layers"},
    "enhancer": {"backbones", "layers", "fields", "regions"},
    "losses": {"fields", "regions"},
    "metrics": {"fields", "losses", "regions"},
    "jpeg": set(),
    "lossless": set(),
    "metadata": {"lossless"},
    "images": {"files", "jpeg", "lossless", "metadata", "shapes"},
    "weights": {"files", "backbones", "enhancer", "hub"},
    "edits": {"files", "shapes"},
    "retouch": {"enhancer", "fields", "fullsize", "images", "regions", "shapes"},
    "recipe": {"edits", "enhancer", "images", "regions", "retouch", "segment", "shapes"},
    "segment": {"edits", "files", "images", "regions", "segment", "shapes", "weights"},
    "sheet": {"images", "regions"},
    "batch": set(),
    "arguments": set(),
    "inputs": {"arguments", "images", "recipe", "regions", "retouch", "segment", "shapes"},
    "cli": {"arguments", "batch", "enhancer", "images", "inputs", "recipe", "retouch", "segment", "sheet", "weights"},
    "__main__": {"cli"},
    "__init__": {"conversion", "enhancer", "images", "regions", "retouch", "weights"},
}


def imports(path: Path) -> set[str]:
    """Dotted names of everything a file imports, wherever it does."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module(path: Path) -> str:
    return path.relative_to(ROOT / "ranlen").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_imports_only_to_the_left(path):
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("ranlen.")}
    allowed = ALLOWED[module(path)]
    assert ours <= allowed, f"{module(path)} may not import {ours - allowed}"


@pytest.mark.parametrize(
    ("folder", "strangers"),
    [
        ("ranlen", {"train", "demo", "gradio", "matplotlib", "tensorboard", "tqdm"}),
        ("train", {"demo", "gradio"}),
        ("demo", {"train"}),
    ],
)
def test_folders_that_must_not_know_each_other(folder, strangers):
    for path in (ROOT / folder).rglob("*.py"):
        tops = {name.split(".")[0] for name in imports(path)}
        assert not tops & strangers, path


def test_only_images_opens_images_and_only_weights_opens_weights():
    for path in CORE:
        source = path.read_text()
        if module(path) != "images":
            assert "Image.open" not in source, path
            assert "imread" not in source, path
        if module(path) != "weights":
            assert not any(name.startswith("safetensors") for name in imports(path)), path
        assert "pickle" not in imports(path), path
        loads = source.count("torch.load(")
        assert loads == source.count(", weights_only=True)"), path  # tensors and nothing else come out of a pickle
        assert not loads or path.name == "checkpoints.py", path


def test_the_package_prints_only_on_the_command_line():
    for path in CORE:
        calls = [
            n.func.id
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        ]
        assert module(path) == "cli" or "print" not in calls, path
