"""Launches of two real processes, which share a sweep, and of which one may die."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_jax import checkpoints
from vae_jax.config import Config, expand, group
from vae_jax.processes import Job, share

ROOT = Path(__file__).parents[1]
BASE = Config(hidden_dims=(16,), num_epochs=40)
GRID = ["--experiment=train", "--dataset=mnist_5k", "--hidden_dims=16", "--num_epochs=40", "--seed=0,1",
        "--latent_dim=2,3", "--noevaluate"]  # fmt: skip


@given(st.integers(0, 9), st.integers(1, 3), st.integers(1, 12))
def test_each_run_is_one_process_s_share(num_seeds, num_dims, size):
    configs = expand(Config(), {"seed": tuple(range(num_seeds + 1)), "latent_dim": tuple(range(1, num_dims + 1))})
    shares = [share(configs, Job(rank, size)) for rank in range(size)]
    assert sorted((config for part in shares for config in part), key=repr) == sorted(configs, key=repr)
    sizes = [len(part) for part in shares]
    assert max(sizes) - min(sizes) <= 1
    # Contiguous parts of as many groups: every cut divides one group at most.
    assert sum(len(group(part)) for part in shares) <= num_dims + size - 1


def launch(workdir, rank, port, *flags):
    command = [sys.executable, "-m", "experiments.launch", *GRID, f"--workdir={workdir}", *flags]
    if rank is not None:
        command += ["--distributed", f"--coordinator=localhost:{port}", f"--process_id={rank}", "--num_processes=2"]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def free_port():
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def contents(workdir):
    """What the runs left but for the clock."""
    return {
        str(path.relative_to(workdir)): path.read_bytes()
        for path in sorted((workdir / "runs").rglob("*"))
        if path.is_file() and path.name != "timing.jsonl"
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("alone") / "sweep"
    process = launch(workdir, None, None)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    return contents(workdir)


def test_two_processes_finish_one_sweep_each_its_share(tmp_path, alone):
    port = free_port()
    processes = [launch(tmp_path / "sweep", rank, port) for rank in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert contents(tmp_path / "sweep") == alone
    for output in outputs:
        assert "/2 runs, " in output, output  # of four
    assert not list((tmp_path / "sweep").glob("lock-*"))


def test_a_process_that_is_killed_loses_only_its_own_runs(tmp_path, alone):
    workdir, port = tmp_path / "sweep", free_port()
    processes = [launch(workdir, rank, port, "--checkpoint_every_seconds=0") for rank in range(2)]
    configs = expand(BASE, {"latent_dim": (3,), "seed": (0, 1)})
    folder = checkpoints.folder_of(workdir, configs)
    deadline = time.monotonic() + 200
    while not any(path.name.isdecimal() for path in folder.glob("*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    processes[1].send_signal(signal.SIGKILL)
    processes[1].communicate(timeout=60)
    out, _ = processes[0].communicate(timeout=300)
    assert processes[0].returncode == 1, out
    assert "2 of 4 runs are not trained; launch again for them" in out
    trained = {json.loads((path.parent / "config.json").read_text())["latent_dim"]
               for path in (workdir / "runs").rglob("params.safetensors")}  # fmt: skip
    assert trained == {2}
    process = launch(workdir, None, None)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert contents(workdir) == alone
