"""What is installed and shipped: pinned, hashed, and with its licence named."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
PINNED = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", LOCK, re.MULTILINE))


def test_every_requirement_is_pinned_with_its_sum():
    wanted = re.findall(r"^([a-z0-9._-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert {name.replace("_", "-") for name in wanted} <= set(PINNED)
    entries = re.split(r"\n(?=[a-z0-9._-]+==)", LOCK)[1:]
    assert len(entries) == len(PINNED)
    for entry in entries:
        assert "--hash=sha256:" in entry, entry.splitlines()[0]
    assert "file:/" not in LOCK


def test_every_licence_is_named():
    named = set(re.findall(r"[a-z0-9._-]+", (ROOT / "LICENCES.md").read_text()))
    assert set(PINNED) <= named
    for path in (ROOT / "demo" / "examples").glob("*.jpg"):
        assert path.name in (ROOT / "demo" / "examples" / "LICENCES.md").read_text()
