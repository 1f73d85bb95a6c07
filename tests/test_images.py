"""Files in, files out: what a photo is must survive, and what is no photo must be refused in one clear sentence."""

from __future__ import annotations

import functools
import io
import struct
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import ExifTags, Image, ImageCms

from ranlen.io import decode, images, jpeg
from ranlen.io.files import write_atomically
from ranlen.io.images import ImageError, Photo

SIZE = (40, 60)
LOSSLESS = (".png", ".tif", ".bmp")
needs_heic = pytest.mark.skipif(not images.HEIC, reason="pillow-heif is not installed")
SUFFIXES = [".jpg", ".png", ".webp", ".tif", ".bmp", ".avif", pytest.param(".heic", marks=needs_heic)]


@functools.cache  # it holds the second it was made in
def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation: int = 1) -> bytes:
    block = Image.Exif()
    block[ExifTags.Base.Orientation] = orientation
    block[ExifTags.Base.Make] = "Canon"
    details = block.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.ISOSpeedRatings] = 800
    details[ExifTags.Base.ExposureTime] = 0.02
    details[ExifTags.Base.DateTimeOriginal] = "2026:11:22 19:00:00"
    block.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (47.0, 22.0, 10.0)
    return block.tobytes()


def facts(data: bytes | None) -> dict[str, object]:
    block = Image.Exif()
    block.load(data or b"")
    details = block.get_ifd(ExifTags.IFD.Exif)
    return {
        "orientation": block.get(ExifTags.Base.Orientation),
        "make": block.get(ExifTags.Base.Make),
        "iso": details.get(ExifTags.Base.ISOSpeedRatings),
        "date": details.get(ExifTags.Base.DateTimeOriginal),
        "place": block.get_ifd(ExifTags.IFD.GPSInfo).get(ExifTags.GPS.GPSLatitude),
    }


KEPT = {"orientation": 1, "make": "Canon", "iso": 800, "date": "2026:11:22 19:00:00", "place": (47.0, 22.0, 10.0)}


def smooth(depth: type = np.uint8) -> np.ndarray:
    """A picture that lossy formats keep well."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    planes = [x / SIZE[1], y / SIZE[0], (x + y) / sum(SIZE)]
    return np.round(np.stack(planes, -1) * np.iinfo(depth).max).astype(depth)


def numbered() -> np.ndarray:
    """A picture in which no two pixels are alike."""
    return np.random.default_rng(3).integers(0, 255, (*SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_metadata_survives_reading_and_writing(suffix, tmp_path):
    photo = Photo(smooth(), icc=profile(), exif=exif())
    photo.write(tmp_path / f"a{suffix}")
    again = images.read(tmp_path / f"a{suffix}")
    again.write(tmp_path / f"b{suffix}")
    final = images.read(tmp_path / f"b{suffix}")
    assert final.size == SIZE
    assert final.format == images.FORMATS[suffix]
    if suffix != ".bmp":  # which holds no metadata
        assert facts(final.exif) == KEPT
        assert final.icc == profile()
    assert np.abs(final.pixels.astype(int) - smooth()).mean() < (0 if suffix in LOSSLESS else 3) + 1e-9


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_lossless_files_keep_every_bit(suffix, depth, grey, alpha, tmp_path, rng):
    shape = (*SIZE, 1 if grey else 3)
    pixels = rng.integers(0, np.iinfo(depth).max, shape, dtype=depth, endpoint=True).repeat(3 // shape[2], axis=2)
    cover = rng.integers(0, np.iinfo(depth).max, SIZE, dtype=depth, endpoint=True) if alpha else None
    Photo(pixels, cover, grey, exif=exif()).write(tmp_path / f"a{suffix}")
    again = images.read(tmp_path / f"a{suffix}")
    assert again.pixels.dtype == depth
    assert np.array_equal(again.pixels, pixels)
    assert facts(again.exif) == KEPT
    if alpha:
        assert again.alpha.dtype == depth
        assert np.array_equal(again.alpha, cover)
    else:
        assert again.alpha is None
        assert again.grey == grey


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_what_we_write_other_readers_read(suffix, tmp_path):
    pixels = smooth()
    Photo(pixels, np.full(SIZE, 200, np.uint8), icc=profile()).write(tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.mode == "RGBA"
        assert image.info["icc_profile"] == profile()
        assert np.abs(np.asarray(image)[..., :3].astype(int) - pixels).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_orientation_is_applied_once(orientation, suffix, tmp_path):
    """Against Pillow's own transposition, on files of every orientation; a second round changes nothing."""
    path = tmp_path / f"a{suffix}"
    source = Image.fromarray(smooth())
    options = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    source.save(path, exif=exif(orientation), **options)
    turned = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }[orientation]  # fmt: skip
    expected = np.asarray(source if turned is None else source.transpose(turned)).astype(int)
    photo = images.read(path)
    assert photo.size == expected.shape[:2]
    assert np.abs(photo.pixels - expected).max() <= (4 if suffix == ".jpg" else 0)
    photo.write(path)
    again = images.read(path)
    assert again.size == photo.size
    assert facts(again.exif)["orientation"] == 1


def test_a_deep_tiff_is_turned_once_too(tmp_path):
    data = bytearray(images.encode(Photo(smooth(np.uint16)), "TIFF"))
    entry = data.find(struct.pack("<HHI", 274, 3, 1))  # the orientation tag: one SHORT
    data[entry + 8] = 6
    (tmp_path / "a.tif").write_bytes(data)
    assert np.array_equal(images.read(tmp_path / "a.tif").pixels, np.rot90(smooth(np.uint16), -1))


def save(path: Path, image: Image.Image, **options: object) -> Photo:
    image.save(path, **options)
    return images.read(path)


def test_palette_with_transparency_becomes_colour_and_alpha(tmp_path):
    image = Image.fromarray(smooth()).quantize(16)
    image.info["transparency"] = 0
    photo = save(tmp_path / "a.png", image, transparency=0)
    assert photo.pixels.shape == (*SIZE, 3)
    assert set(np.unique(photo.alpha)) == {0, 255}


def test_one_bit_and_grey_stay_grey(tmp_path):
    grey = Image.fromarray(smooth()[..., 0])
    photo = save(tmp_path / "a.jpg", grey)
    assert photo.grey
    photo.write(tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.mode == "L"
    assert save(tmp_path / "c.png", grey.convert("1")).grey


def test_cmyk_comes_out_as_rgb_in_srgb(tmp_path):
    photo = save(
        tmp_path / "a.jpg", Image.fromarray(smooth()).convert("CMYK"), icc_profile=b"not a profile", quality=100
    )
    assert photo.icc is None
    assert np.abs(photo.pixels.astype(int) - smooth()).mean() < 4


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pixels_are_held_once_and_by_nobody_while_blocks_are_changed(mode, tmp_path):
    Image.new(mode, (64, 32)).save(tmp_path / "a.jpg", exif=exif(6))
    photo = images.read(tmp_path / "a.jpg")
    assert photo.file.found.channels.base is None  # no view of what was decoded
    pixels = weakref.ref(photo.pixels)
    finish = images.writing(photo, tmp_path / "b.jpg")
    del photo
    assert pixels() is None
    finish()
    assert images.read(tmp_path / "b.jpg").size == (64, 32)


@needs_heic
def test_heic_is_read_upright(tmp_path):
    Image.fromarray(smooth()).save(tmp_path / "a.heic", quality=95, exif=exif(6))
    photo = images.read(tmp_path / "a.heic")
    assert facts(photo.exif)["orientation"] == 1
    photo.write(tmp_path / "b.heic")
    assert images.read(tmp_path / "b.heic").size == photo.size


def test_the_preview_is_small():
    photo = Photo(smooth())
    assert images.preview(photo, 30).shape == (20, 30, 3)
    assert np.array_equal(images.preview(photo, 100), photo.pixels)
    assert np.array_equal(images.preview(Photo(smooth(np.uint16)), 100), smooth())


@pytest.mark.parametrize("size", [(400, 600), (401, 599), (1000, 3)])
def test_the_preview_averages(size, rng):
    y, x = np.mgrid[: size[0], : size[1]]
    waves = 120 + 80 * np.sin(x / 30)[..., None] * np.cos(y / 20)[..., None]
    pixels = (waves + rng.normal(0, 10, (*size, 3))).astype(np.uint8)
    shown = images.preview(Photo(pixels), 50)
    expected = cv2.resize(pixels, shown.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(shown.astype(int) - expected).max() <= 5  # halving first weighs pixels a little differently
    assert abs(shown.mean() - pixels.mean()) < 1


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpegs_are_decoded_as_pillow_does(mode, subsampling, tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(numbered()).convert(mode).save(path, subsampling=subsampling)
    with Image.open(path) as image:
        expected = np.atleast_3d(np.asarray(image.convert("RGB")))
    assert np.array_equal(images.read(path).pixels, expected)


def test_a_jpeg_that_only_pillow_accepts_is_read(tmp_path):
    """A few stray bytes before a marker, as some cameras leave: a warning to libjpeg, an error to simplejpeg."""
    data = jpeg_bytes()
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:-2] + b"stray" + data[-2:])
    with pytest.raises(ValueError, match="xtraneous"):
        simplejpeg.decode_jpeg(path.read_bytes())
    assert images.read(path).size == SIZE


@pytest.mark.parametrize("channels", [1, 3])
def test_jpegs_are_encoded_as_pillow_does(channels):
    """The same pixels; metadata over several segments included."""
    pixels = numbered()[..., :channels]
    icc = np.random.default_rng(0).bytes(150_000)
    ours = Image.open(io.BytesIO(jpeg.encode(pixels, icc, exif(1))))
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, "JPEG", quality=96, subsampling=0)
    assert np.array_equal(np.asarray(ours), np.asarray(Image.open(buffer)))
    assert ours.info["icc_profile"] == icc
    assert facts(ours.info["exif"]) == KEPT


def test_a_jpeg_holds_64_kb_of_exif():
    with pytest.raises(ValueError, match="of EXIF and the photo has 68; write TIFF"):
        jpeg.encode(numbered(), None, b"Exif\0\0" + bytes(70_000))


def test_the_preview_is_in_srgb_whatever_the_profile():
    """A profile that swaps red and blue: Pillow's sRGB one with the two colorants exchanged."""
    data = bytearray(profile())
    red, blue = data.find(b"rXYZ"), data.find(b"bXYZ")
    data[red : red + 4], data[blue : blue + 4] = data[blue : blue + 4], data[red : red + 4]
    shown = images.preview(Photo(smooth(), icc=bytes(data)), 100).astype(int)
    assert np.abs(shown - smooth()[..., ::-1]).mean() < 2
    assert np.array_equal(images.preview(Photo(smooth(), icc=b"not a profile"), 100), smooth())


def test_16_bits_round_to_8_as_they_should():
    values = np.array([0, 128, 129, 257, 32767, 32768, 65406, 65407, 65535], np.uint16)
    assert images.to_8_bit(values).tolist() == [round(v / 257) for v in values.tolist()]


def jpeg_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(numbered()).save(buffer, "JPEG")
    return buffer.getvalue()


BAD_FILES = {
    "empty": (b"", "not an image of a known kind"),
    "text": (b"hello, I am a photo", "not an image of a known kind"),
    "half a jpeg": (jpeg_bytes()[: len(jpeg_bytes()) // 2], "damaged or cut short"),
    "a pdf": (b"%PDF-1.4\n%...", "not an image of a known kind"),
}


@pytest.mark.parametrize(("data", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_are_refused_in_one_line(data, message, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=message) as caught:
        images.read(path)
    assert "photo.jpg" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_files_cut_short_anywhere_are_refused_or_read(suffix, depth, tmp_path):
    path = tmp_path / f"a{suffix}"
    Photo(smooth(depth), icc=profile(), exif=exif()).write(path)
    whole = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(whole[: len(whole) * tenth // 10])
        try:
            photo = images.read(path)
        except ImageError:
            continue
        assert photo.size == SIZE  # only trailing bytes were missing


def test_missing_files_folders_and_giants_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ImageError, match="no such file"):
        images.read(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="not a file"):
        images.read(tmp_path)
    path = tmp_path / "a.png"
    Photo(smooth()).write(path)
    monkeypatch.setattr(decode, "MAX_PIXELS", 1000)
    with pytest.raises(ImageError, match="60 x 40 pixels; at most"):
        images.read(path)
    monkeypatch.setattr(images, "MAX_BYTES", 10)
    with pytest.raises(ImageError, match="at most"):
        images.read(path)


def test_floats_are_refused_by_name(tmp_path):
    Image.fromarray(np.random.default_rng(0).random(SIZE).astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="8 or 16 bit"):
        images.read(tmp_path / "a.tif")


def test_what_a_format_cannot_hold_is_refused(tmp_path):
    clear = Photo(smooth(), np.full(SIZE, 100, np.uint8))
    with pytest.raises(ImageError, match="no transparency"):
        clear.write(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="choose one of the suffixes"):
        Photo(smooth()).write(tmp_path / "a.gif")
    with pytest.raises(ImageError, match="there is no folder"):
        Photo(smooth()).write(tmp_path / "missing" / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_masks_are_read_as_booleans_of_the_photos_size(tmp_path):
    core = np.zeros(SIZE, bool)
    core[10:20, 10:30] = True
    path = tmp_path / "m.png"
    Image.fromarray(core).save(path)
    assert np.array_equal(images.read_mask(path, SIZE), core)
    Image.fromarray((core * 255).astype(np.uint8)).convert("RGB").save(path)
    assert np.array_equal(images.read_mask(path, SIZE), core)
    white = np.full((*SIZE, 4), 255, np.uint8)
    white[..., 3] = core * 255
    Image.fromarray(white).save(path)
    assert np.array_equal(images.read_mask(path, SIZE), core)
    assert np.array_equal(images.read_mask(path, (20, 30)), core[::2, ::2])  # the same shape, smaller
    with pytest.raises(ImageError, match="60 x 40 pixels but the photo is 30 x 30"):
        images.read_mask(path, (30, 30))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    write_atomically(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.bin"]
