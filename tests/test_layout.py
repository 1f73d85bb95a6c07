"""What only one module may do, checked on the source; who may import whom is in pyproject.toml (import-linter)."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

from ranlen import facts
from ranlen.cli.batch import ENGINES
from ranlen.methods import METHODS
from ranlen.models.backbones import BACKBONES

ROOT = Path(__file__).parent.parent
CORE = sorted((ROOT / "ranlen").rglob("*.py"))


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


def test_only_decode_opens_images_and_only_weights_opens_weights():
    for path in CORE:
        source = path.read_text()
        if path != ROOT / "ranlen/io/decode.py":
            assert "Image.open" not in source, path
            assert "imread" not in source, path
        if path.name != "weights.py":
            assert not any(name.startswith("safetensors") for name in imports(path)), path
        assert "pickle" not in imports(path), path
        loads = len(re.findall(r"\btorch\.load\(", source))
        assert loads == source.count(", weights_only=True)"), path  # tensors and nothing else come out of a pickle
        assert not loads or path.name == "checkpoints.py", path


def test_the_package_prints_only_on_the_command_line():
    for path in CORE:
        calls = [
            n.func.id
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        ]
        assert path.name == "main.py" or "print" not in calls, path


def test_what_exists_is_what_the_facts_say():
    assert list(METHODS) == list(facts.METHODS)
    assert list(ENGINES) == list(facts.ENGINES)
    assert facts.DEFAULT_BACKBONE in BACKBONES
    assert facts.DEFAULT_METHOD in METHODS
    told = json.loads(json.dumps(facts.as_dict()))
    assert told["backbones"] == list(BACKBONES)
    assert told["max_degree"] == facts.MAX_DEGREE
