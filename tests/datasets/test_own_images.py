"""Folders of a user's own images: read as they are or refused in one line."""

import os

import numpy as np
import pytest
from own_examples import LABELS, PIXELS, RNG, refused
from PIL import Image
from sandbox import plain_python

from privacy_report.datasets import images


def write(folder, pixels, labels=LABELS, mode=None):
    for i, (array, label) in enumerate(zip(pixels, labels, strict=True)):
        path = folder / f"class {label}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(array)
        (image.convert(mode) if mode else image).save(path)


def test_a_folder_of_images_by_class_and_number(tmp_path):
    write(tmp_path, PIXELS)
    (tmp_path / ".DS_Store").write_text("of another program")
    dataset = images.load(tmp_path, None, None)
    order = np.argsort(LABELS, kind="stable")  # 10.png comes after 7.png, not before 1.png
    np.testing.assert_array_equal(dataset.images[..., 0], PIXELS[order])
    np.testing.assert_array_equal(dataset.labels, LABELS[order])
    assert dataset.class_names == ("class 0", "class 1", "class 2")


def test_a_folder_with_splits_and_colours(tmp_path):
    coloured = RNG.integers(0, 256, (12, 5, 4, 3)).astype(np.uint8)
    write(tmp_path / "train", coloured[:6], LABELS[:6])
    write(tmp_path / "test", coloured[6:], LABELS[6:])
    dataset = images.load(tmp_path, None, None)
    assert dict(dataset.splits) == {"test": range(6), "train": range(6, 12)}
    assert dataset.images.shape == (12, 5, 4, 3)
    np.testing.assert_array_equal(dataset.images[6], coloured[0])


def test_sizes_and_colours_are_made_equal_by_settings_and_never_silently(tmp_path):
    write(tmp_path, PIXELS)
    Image.fromarray(PIXELS[0].T).save(tmp_path / "class 1/other.png")
    refused(
        r"other\.png: has shape \(4, 5, 1\), .* set dataset\.size", lambda: images.load(tmp_path, None, None)
    )
    assert images.load(tmp_path, [8, 6], None).images.shape == (13, 8, 6, 1)
    Image.fromarray(PIXELS[0]).convert("RGB").save(tmp_path / "class 1/other.png")
    refused(r"set dataset\.colour", lambda: images.load(tmp_path, None, None))
    assert images.load(tmp_path, None, "rgb").images.shape == (13, 5, 4, 3)
    Image.fromarray(PIXELS[0]).convert("P").save(tmp_path / "class 1/other.png")
    refused(r"other\.png: an image of mode P; set dataset\.colour", lambda: images.load(tmp_path, None, None))


@pytest.mark.parametrize("colour", [None, "grey", "rgb"])
@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_more_than_8_bits_per_channel_are_refused_and_not_cut(colour, kind, tmp_path):
    write(tmp_path, PIXELS)
    Image.fromarray(PIXELS[0].astype(kind)).save(tmp_path / "class 1/other.tiff")
    refused(
        r"other\.tiff: an image of mode \S+, allowed: 8 bits per channel; convert it first",
        lambda: images.load(tmp_path, None, colour),
    )


def test_digits_of_other_scripts_are_letters(tmp_path):
    write(tmp_path, PIXELS)
    for name in ("\u0663", "\u00b2", "3\u0663"):
        Image.fromarray(PIXELS[0]).save(tmp_path / f"class 1/{name}.png")
    assert images.load(tmp_path, None, None).images.shape == (len(PIXELS) + 3, *PIXELS.shape[1:], 1)


def test_what_is_no_image_is_named(tmp_path):
    write(tmp_path, PIXELS)
    path = tmp_path / "class 2/11.png"
    path.write_bytes(path.read_bytes()[:50])
    refused(r"class 2/11\.png: not readable as an image", lambda: images.load(tmp_path, None, None))
    path.write_text("no image")
    refused(r"class 2/11\.png: not readable as an image", lambda: images.load(tmp_path, None, None))
    path.rename(path.with_suffix(".txt"))
    refused(r"11\.txt: no image by its name", lambda: images.load(tmp_path, None, None))


@pytest.mark.parametrize("kind", ["TGA", "ICO", "PPM", "EPS", "JPEG2000"])
def test_only_the_documented_formats_are_read_whatever_a_file_is_called(kind, tmp_path):
    write(tmp_path, PIXELS)
    other = tmp_path / "class 1/other.png"
    Image.fromarray(PIXELS[0]).convert("RGB").save(other, format=kind)
    with Image.open(other) as opened:
        assert opened.format == kind  # Pillow itself goes by the content
    allowed = "allowed by its content: PNG, JPEG, BMP, GIF, WEBP, TIFF"
    refused(rf"other\.png: not readable as an image, {allowed}", lambda: images.load(tmp_path, None, "grey"))


@pytest.mark.parametrize("kind", images.FORMATS)
def test_every_documented_format_is_read(kind, tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for name in "01":
            flat = Image.fromarray(np.full((16, 16), 200, np.uint8))
            flat.save(tmp_path / label / f"{name}.{kind.lower()}", format=kind)
    dataset = images.load(tmp_path, None, "grey")
    assert dataset.images.shape == (4, 16, 16, 1)
    assert abs(dataset.images.astype(int) - 200).max() <= 2  # JPEG and WebP are not exact


def test_names_of_folders_are_utf_8_in_any_locale(tmp_path):
    write(tmp_path / "ø", PIXELS)
    (tmp_path / "ø/class 1").rename(tmp_path / "ø/größe")
    done = plain_python(
        "from pathlib import Path; from privacy_report.datasets import images\n"
        f"print(ascii(images.load(Path({str(tmp_path)!r}), None, None)))"
    )
    assert "class_names=('class 0', 'class 2', 'gr\\xf6\\xdfe')" in done.stdout
    assert "splits={'\\xf8': range(0, 12)}" in done.stdout
    os.rename(tmp_path / "ø/größe", os.fsencode(tmp_path / "ø") + b"/gr\xf6\xdfe")
    refused(r"gr\\udcf6\\udcdfe': a folder's name must be UTF-8", lambda: images.load(tmp_path, None, None))


def test_all_images_that_cannot_be_used_are_counted_and_the_first_five_named(tmp_path):
    write(tmp_path, PIXELS)
    (tmp_path / "class 0/0.png").write_text("the first of all")
    for i in range(6):
        (tmp_path / f"class 2/{90 + i}.png").write_text("no image")
    (tmp_path / "class 1/notes.txt").write_text("no image")
    refused(
        rf"^{tmp_path}: 8 of 19 files cannot be used: .*/class 0/0\.png: not readable .*; "
        r".*/class 1/notes\.txt: no image by its name.*; .*90\.png.*; .*91\.png.*; .*92\.png.*; and 3 more$",
        lambda: images.load(tmp_path, None, None),
    )


def test_folders_that_are_no_data_set_are_refused(tmp_path):
    refused("no such folder", lambda: images.load(tmp_path / "none", None, None))
    refused("no images, allowed", lambda: images.load(tmp_path, None, None))
    write(tmp_path, PIXELS)
    write(tmp_path / "class 1", PIXELS)
    refused("class 1 holds folders and class 0 does not", lambda: images.load(tmp_path, None, None))


def test_a_class_with_one_image_is_refused_by_its_name(tmp_path):
    write(tmp_path, PIXELS[:10], [0] * 9 + [1])
    refused(r"class class 1 \(label 1\) has 1 examples", lambda: images.load(tmp_path, None, None))
