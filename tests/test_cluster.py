"""A Dask cluster of two workers, started as a user starts it, gives the same files as one process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from test_sweeps import GRID, ROOT, TRAIN, files

from vae_jax import checkpoints, cluster, sweeps
from vae_jax.session import Stop
from vae_jax.workdir import TEMPORARY, UserError, run_dir

pytest.importorskip("distributed")
DASK = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
LONG = [config.__class__(**(config.to_dict() | {"hidden_dims": (8,), "num_epochs": 60})) for config in GRID[:2]]


def start(stack, *command):
    hostile = {"JAX_ENABLE_X64": "1", "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16", "JAX_DEFAULT_PRNG_IMPL": "rbg"}
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)} | hostile
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip

    def end():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a worker and its nanny
        process.wait(timeout=60)

    stack.callback(end)
    return process


@pytest.fixture(scope="module")
def address():
    with contextlib.ExitStack() as stack:
        with contextlib.closing(socket.socket()) as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        where = f"tcp://127.0.0.1:{port}"
        start(stack, "distributed.cli.dask_scheduler", "--host=127.0.0.1", f"--port={port}", "--no-dashboard")
        for _ in range(2):
            start(stack, "distributed.cli.dask_worker", where, "--nthreads=1", "--no-dashboard")
        yield where


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_cluster_trains_the_same_runs_and_survives_a_killed_worker(tmp_path, address):
    for name in ("alone", "cluster"):
        (tmp_path / name).mkdir()
    options = TRAIN._replace(checkpoint_every_seconds=0)
    with cluster.connect(address) as executor:
        client = executor._client
        wait_for(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == 2)
        future = sweeps.LocalDevices().submit(
            sweeps.train_and_evaluate, LONG, tmp_path / "cluster", options, executor=executor
        )
        folder = run_dir(tmp_path / "cluster", LONG[0])
        wait_for(lambda: checkpoints.epochs(folder) or future.done())
        (folder / f".params.0123{TEMPORARY}").touch()  # as a worker leaves it that is killed while it writes
        # The worker's nanny starts another one.
        pids = client.run(os.getpid)
        os.kill(min(pids.values()), signal.SIGKILL)
        assert future.result(timeout=300) == []
    assert sweeps.train_and_evaluate(LONG, tmp_path / "alone", TRAIN, stop=Stop()) == []
    assert files(tmp_path / "cluster") == files(tmp_path / "alone")


def test_no_scheduler_at_the_address(monkeypatch):
    monkeypatch.setattr(cluster, "TIMEOUT", "1s")
    message = r"^no Dask scheduler answers at tcp://127\.0\.0\.1:1 .*; start one with: dask scheduler$"
    with pytest.raises(UserError, match=message), cluster.connect("tcp://127.0.0.1:1"):
        pass
