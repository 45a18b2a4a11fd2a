"""Reads a folder of PNG, JPEG and WebP pictures, with a folder for each class if they have classes."""

import os
from pathlib import Path

import numpy as np

from vae_jax.data.fit import Wanted
from vae_jax.data.pictures import Picture, decode
from vae_jax.data.sources import files
from vae_jax.data.splits import DataError, Source, Split, whole_or_split

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
_SPLITS = {
    "train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test",
}  # fmt: skip
_NEEDS = "images:DIR needs PNG, JPEG or WebP files, in a folder for each class if they have classes"


@files("images", "DIR")
def read(folder: Path, wanted: Wanted) -> Source:
    """Reads pictures: of `train/` and `test/`, or else of the folder, of which one in five becomes a test image.

    Each may have a folder for each class, whose name is the name of the class, or have the pictures themselves, which
    have no labels. `val/`, `valid/` or `validation/` is the validation split, or the test split if there is no other.
    Labels number the sorted names of classes, which `class_names` in the provenance lists. Hidden files, and files with
    other endings, are left out.

    Raises:
        DataError: the folder is missing, has no pictures or a mixture of these layouts, or `decode` refuses them.
    """
    folders = _splits(folder)
    found = {split: _find(where) for split, where in folders.items()}
    names = sorted(found["train" if "train" in found else "whole"], key=_by_number)
    for split, by_class in found.items():
        if other := sorted(set(by_class) - set(names)):
            what = f"the class {other[0]!r}" if other[0] else "pictures outside folders of classes"
            raise DataError(f"{folders[split]} has {what}, unlike {folders['train']}; give both the same classes")
    pictures = [
        (split, names.index(name), Picture(str(path.relative_to(folder)), path))
        for split, by_class in found.items() for name, paths in by_class.items() for path in paths
    ]  # fmt: skip
    images, content = decode(str(folder), [picture for *_, picture in pictures], wanted)
    of_split = np.array([split for split, *_ in pictures])
    labels = None if names == [""] else np.array([label for _, label, _ in pictures], np.int32)
    whole = Split(images, labels)
    splits, note = whole_or_split(
        str(folder), {split: whole.where(of_split == split) for split in found}, "train/ and test/"
    )
    if "test" in folders and _SPLITS[folders["test"].name.lower()] != "test":
        note += f"; {folders['test'].name}/ for testing"
    origin = {"source": "image files", "version": None, "folder": str(folder), "content": content + note}
    return splits, origin | ({} if labels is None else {"class_names": names})


def _by_number(name: str) -> tuple[float, str]:
    """Sorts 2 before 10, and numbers before other names."""
    return (int(name) if name.isdecimal() else float("inf")), name


def _list(folder: Path) -> list[Path]:
    """Lists what is not hidden in a folder, in the order of names."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (OSError, ValueError) as error:  # the latter of a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot list {folder} ({reason}); {_NEEDS}") from error


def _splits(folder: Path) -> dict[str, Path]:
    """Returns the folder of each split: of `whole`, or of `train`, `test` and perhaps `validation`."""
    inside = {path.name.lower(): path for path in _list(folder) if path.is_dir()}
    if "train" not in inside or not set(inside) <= set(_SPLITS):
        return {"whole": folder}
    splits = {_SPLITS[name]: path for name, path in inside.items()}
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    if "test" not in splits:
        raise DataError(f"{folder} has train/ and no test/; add one, or pass images:{inside['train']} to split that")
    return {split: splits[split] for split in ("train", "validation", "test") if split in splits}


def _find(folder: Path) -> dict[str, list[Path]]:
    """Finds pictures by the name of their class; "" where they have none."""
    inside = _list(folder)
    own = [path for path in inside if _is_picture(path)]
    by_class = {path.name: _below(path) for path in inside if path.is_dir()}
    by_class = {name: paths for name, paths in by_class.items() if paths}
    if own and by_class:
        raise DataError(
            f"{folder} has pictures ({own[0].name}) beside folders of pictures ({next(iter(by_class))}/); "
            "put all into folders of classes, or all into one folder"
        )
    if not own and not by_class:
        raise DataError(f"{folder} has no pictures; {_NEEDS}")
    return by_class or {"": own}


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if _is_picture(path))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _ENDINGS and not path.name.startswith(".") and os.path.isfile(path)
