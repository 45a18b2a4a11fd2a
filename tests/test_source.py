"""The digest of the package's source."""

import hashlib
import platform
import shutil
from pathlib import Path

import flax
import jax
import jaxlib
import optax
import pytest

from vae_jax import source


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose digest is computed anew each time."""
    ignored = "measure/.checkpoints/a.py", "measure/__pycache__/a.pyc"
    for name in ("source.py", "b.py", "measure/a.py", "measure/page.html", *ignored):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "measure" / ".#a.py").symlink_to("user@host.1234")  # an editor's lock
    monkeypatch.setattr(source, "__file__", str(tmp_path / "source.py"))
    monkeypatch.setattr(source, "digest", source.digest.__wrapped__)
    return tmp_path


def expected(*names):
    lines = [f"{name} {hashlib.sha256(name.encode()).hexdigest()}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_the_digest_is_of_names_and_content(package):
    assert source.digest() == expected("b.py", "measure/a.py", "source.py")
    assert source.digest("measure") == expected("measure/a.py")
    assert source.digest("measure", "measure/a.py", "b.py") == expected("b.py", "measure/a.py")
    assert source.digest(suffixes=(".py", ".html")) == expected(
        "b.py", "measure/a.py", "measure/page.html", "source.py"
    )
    with pytest.raises(FileNotFoundError):
        source.digest("measures")  # a misspelt part would be a digest of nothing


def test_the_digest_changes_with_a_line_and_with_a_name_but_not_with_the_folder(package, tmp_path_factory, monkeypatch):
    before = source.digest()
    moved = shutil.copytree(package, tmp_path_factory.mktemp("elsewhere") / "package", symlinks=True)
    monkeypatch.setattr(source, "__file__", str(moved / "source.py"))
    assert source.digest() == before
    (moved / "b.py").write_text("b.py\n")
    assert source.digest() != before
    (moved / "b.py").write_text("b.py")
    (moved / "b.py").rename(moved / "c.py")
    assert source.digest() != before


def test_a_process_keeps_the_digest_of_what_it_has_imported(monkeypatch):
    before = source.digest()
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"changed meanwhile")
    assert source.digest() == before


def test_an_installation_is_python_the_source_and_what_it_trains_with():
    distributed = pytest.importorskip("distributed")  # an extra
    packages = {module.__name__: module.__version__ for module in (jax, jaxlib, flax, optax, distributed)}
    python = platform.python_version().rpartition(".")[0]
    assert source.installation() == {"Python": python, **packages, "source of vae_jax": source.digest()}


def test_installations_that_differ_never_read_alike():
    own = {"jax": "0.10.2.dev20260801", "source of vae_jax": "a" * 64}
    assert source.difference(own, own) == ""
    other = {"jax": "0.10.2.dev20260802", "source of vae_jax": "b" * 64}
    assert source.difference(other, own) == (
        "jax 0.10.2.dev20260802 instead of 0.10.2.dev20260801, source of vae_jax bbbbbbbbbbbb instead of aaaaaaaaaaaa"
    )
    assert source.difference({}, {"jax": "1"}) == "jax none instead of 1"
