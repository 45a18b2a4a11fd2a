"""vae_jax.data.prepare as a command: what it leaves when it is interrupted. What it prepares is in test_data_tfds."""

from test_data_tfds import run_script, small_mnist  # noqa: F401  # a fixture

from vae_jax.data import preparation
from vae_jax.data.sources import tfds


def test_ctrl_c_leaves_one_line_and_nothing_half_prepared(capsys, monkeypatch, small_mnist, tmp_path):  # noqa: F811
    def interrupt(image):
        raise KeyboardInterrupt

    data_dir = tmp_path / "tfds"
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "_png", interrupt)
        flags = ("--dataset=mnist", f"--from_dir={small_mnist}", f"--data_dir={data_dir}")
        assert run_script(capsys, *flags) == (130, "", "prepare_data: stopped by SIGINT\n")
    assert [path for path in data_dir.rglob("*") if path.is_file()] == []
    assert list(data_dir.rglob("*incomplete*")) == []
    assert tfds.find("mnist", data_dir) is None
    status, out, _ = run_script(capsys, *flags)
    assert (status, out.startswith("mnist is prepared")) == (0, True)
