"""Files into the page and out of it, in a real browser."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from ranlen.cli import main as cli
from ranlen.io import images
from ranlen.io.images import Photo
from tests.browser import IN_BROWSER, SHARE, click, drag, exact, idle, pixels, save, shares, upload

pytestmark = IN_BROWSER


def test_upload_click_save_and_the_file_is_whole(visit, photo):
    page = visit(accept_downloads=True)
    assert page.is_disabled("#save")
    upload(page, photo)
    before = pixels(page)
    assert np.array_equal(before, images.read(photo).pixels)  # on the screen, to the byte
    assert page.inner_text(".rl-hint") == "Click the subject"
    exact(page, lambda: click(page))
    assert np.abs(pixels(page) - before)[150, 200].sum() > 10
    assert np.array_equal(pixels(page)[:20, :20], before[:20, :20])

    result = save(page)
    assert result.suggested_filename == "evening_ranlen.png"
    lit, dark = images.read(result.path()), images.read(photo)
    assert lit.size == dark.size
    assert (lit.icc, lit.exif) == (dark.icc, dark.exif)
    assert Image.open(io.BytesIO(Path(result.path()).read_bytes())).getexif()[0x010F] == "A camera"
    assert np.array_equal(lit.pixels, pixels(page))  # what was seen
    assert np.array_equal(lit.pixels[:20, :20], dark.pixels[:20, :20])

    page.click("summary")
    page.select_option("#rl-format", "tiff16")
    deep = save(page)
    assert deep.suggested_filename == "evening_ranlen.tif"
    deep = images.read(deep.path()).pixels
    assert deep.dtype == np.uint16
    assert np.array_equal(deep[:20, :20], dark.pixels[:20, :20] * np.uint16(257))


def test_a_recipe_is_repeated_by_the_page_and_by_the_command_line(visit, balls, tmp_path, weights_folder, monkeypatch):
    page = visit(accept_downloads=True)
    upload(page, balls)
    click(page, 0.325, 0.5, tool="subject")
    drag(page, (0.2, 0.2), (0.3, 0.2), tool="brush")
    page.click("[data-act=add]")
    click(page, 0.675, 0.5)
    page.fill("input[type=number][data-of=degree]", "1.5")
    exact(page, lambda: page.press("input[type=number][data-of=degree]", "Enter"))
    page.click("summary")
    recipe, mask, result = (save(page, f"[data-act={act}]:visible") for act in ("saverecipe", "savemask", "save"))
    assert "Saved" in page.inner_text(".rl-toast")
    assert (recipe.suggested_filename, mask.suggested_filename) == ("balls_recipe.json", "balls_mask.png")
    lit = images.read(result.path()).pixels
    recipe.save_as(tmp_path / "s.json")
    mask.save_as(tmp_path / "m.png")

    monkeypatch.setenv("RANLEN_WEIGHTS", str(weights_folder))
    out = tmp_path / "again.png"
    assert cli.main(["light", str(balls), "-o", str(out), "--edits", str(tmp_path / "s.json"), "--device", "cpu"]) == 0
    assert np.array_equal(images.read(out).pixels, lit)

    again = visit()
    upload(again, balls)
    exact(again, lambda: again.set_input_files("#photo", tmp_path / "s.json"))
    assert np.array_equal(pixels(again), lit)
    before = shares(again)
    again.set_input_files(".rl-maskfile", tmp_path / "m.png")
    again.wait_for_selector(".rl-shares:has-text('Area A')")
    idle(again)
    (tmp_path / "other.json").write_text(json.dumps({"a": 1}))
    again.set_input_files(".rl-recipefile", tmp_path / "other.json")
    again.wait_for_selector("text=This file is not a saved recipe.")
    again.click("[data-act=undo]:visible")
    idle(again)
    assert shares(again) == before


def test_a_file_that_is_no_photo_is_told_and_the_photo_stays(visit, photo, tmp_path):
    page = visit()
    upload(page, photo)
    click(page)
    (tmp_path / "fake.png").write_bytes(b"this is no photo")
    page.set_input_files("#photo", tmp_path / "fake.png")
    page.click("text=Go on without saving")
    page.wait_for_selector("text=not an image of a known kind")
    click(page, 0.4, 0.4)
    assert "Area A" in shares(page)


def test_a_slow_line_is_told_in_per_cent_and_seconds(visit, tmp_path):
    photo = tmp_path / "noise.png"
    Photo(np.random.default_rng(0).integers(0, 90, (400, 400, 3), dtype=np.uint8)).write(photo)
    page = visit(accept_downloads=True)
    line = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 20, "downloadThroughput": 100_000, "uploadThroughput": 100_000}
    line.send("Network.emulateNetworkConditions", slow)
    page.set_input_files("#photo", photo)
    page.wait_for_selector(r"text=/Sending… \d+ %, about \d+ s/")
    assert 0 < float(page.evaluate(SHARE)) < 1
    line.send("Network.emulateNetworkConditions", slow | {"downloadThroughput": -1, "uploadThroughput": -1})
    page.wait_for_selector(".rl-name:has-text('noise.png')")
    exact(page, lambda: click(page))
    line.send("Network.emulateNetworkConditions", slow)
    with page.expect_download() as download:
        page.click("#save")
        page.wait_for_selector(r"text=/Receiving… \d+ %, about \d+ s/")
        line.send("Network.emulateNetworkConditions", slow | {"downloadThroughput": -1, "uploadThroughput": -1})
    assert np.array_equal(images.read(download.value.path()).pixels, pixels(page))


def test_the_drop_zone_opens_the_dialog_and_of_two_files_one_is_taken_and_named(visit, photo, balls):
    page = visit()
    with page.expect_file_chooser() as chooser:
        page.click(".rl-or")
    chooser.value.set_files(photo)
    page.wait_for_selector(".rl-name:has-text('evening.png')")
    page.evaluate(
        """(datas) => {
        const transfer = new DataTransfer();
        for (const [name, data] of datas) {
          transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name));
        }
        document.querySelector('.rl-stage').dispatchEvent(
          new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })); }""",
        [
            ["a_recipe.json", ""],
            ["one.png", base64.b64encode(balls.read_bytes()).decode()],
            ["two.png", base64.b64encode(photo.read_bytes()).decode()],
        ],
    )
    page.wait_for_selector("text=One photo at a time: of 3 files, one.png was taken.")
    page.wait_for_selector(".rl-name:has-text('one.png')")


def test_a_dropped_and_a_pasted_photo_open(visit, photo):
    page = visit()
    give = """([name, data, kind]) => {
      const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), transfer = new DataTransfer();
      transfer.items.add(new File([bytes], name, { type: 'image/png' }));
      const event = kind === 'drop' ? new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })
        : new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true });
      document.querySelector('.rl-stage').dispatchEvent(event); }"""
    data = base64.b64encode(photo.read_bytes()).decode()
    for name, kind in (("dropped.png", "drop"), ("pasted.png", "paste")):
        page.evaluate(give, [name, data, kind])
        page.wait_for_function("n => document.querySelector('.rl-name').textContent.startsWith(n)", arg=name)


def test_the_lit_picture_can_be_copied(visit, photo):
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    upload(page, photo)
    page.focus(".rl-main")
    page.keyboard.press("Control+c")  # nothing is lit yet
    exact(page, lambda: click(page))
    page.focus(".rl-main")
    page.keyboard.press("Control+c")
    page.wait_for_selector("text=Copied 400 × 300 pixels.")
    data = page.evaluate(
        """async () => {
        const [item] = await navigator.clipboard.read();
        const bitmap = await createImageBitmap(await item.getType('image/png'));
        const canvas = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height });
        canvas.getContext('2d').drawImage(bitmap, 0, 0);
        return canvas.toDataURL('image/png').split(',')[1]; }"""
    )
    assert np.array_equal(np.array(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")), pixels(page))


def test_visitors_see_only_their_own_photo(visit, photo, tmp_path):
    other = tmp_path / "other.png"
    Photo(np.full((200, 200, 3), (10, 20, 90), np.uint8)).write(other)
    first, second = visit(accept_downloads=True), visit(accept_downloads=True)
    upload(first, photo)
    upload(second, other)
    click(first)
    click(second)
    for page, mine in ((first, photo), (second, other)):
        assert images.read(save(page).path()).size == images.read(mine).size
        assert np.abs(pixels(page)[:5, :5] - images.read(mine).pixels[:5, :5]).max() == 0
    assert shares(first) != shares(second)
