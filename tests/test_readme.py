"""What the README says, done as it says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from ranlen import facts
from ranlen.cli.main import build_parser
from ranlen.io import images

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_runs(tmp_path, monkeypatch):
    monkeypatch.delenv("RANLEN_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "demo" / "examples", tmp_path / "demo" / "examples")
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    lit, photo = (images.read(Path(name)).pixels for name in ("lit.jpg", "demo/examples/astronaut.jpg"))
    assert lit.shape == photo.shape
    assert lit[130:170, 205:245].mean() > 1.5 * photo[130:170, 205:245].mean()


def test_the_commands_are_understood():
    lines = [line.split("#")[0].split() for block in blocks("sh") for line in block.splitlines()]
    commands = [line[1:] for line in lines if line and line[0] == "ranlen"]
    assert len(commands) == 6
    for command in commands:
        build_parser().parse_args(command)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "train/README.md", "weights/README.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_what_stays_of_a_file_is_said_in_one_table(capsys):
    for row in (facts.KEPT_OF, *facts.KEPT):
        assert f"| {' | '.join(row)} |\n" in README
    with pytest.raises(SystemExit):
        build_parser().parse_args(["light", "--help"])
    said = capsys.readouterr().out
    for row in facts.KEPT:
        assert "  ".join(said.split()).count("  ".join(" ".join(row).split())) == 1


def test_make_knows_its_targets():
    targets = set(re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text()
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
