"""A Dask cluster of two workers, started as a user starts it, gives the same files as one process."""

import asyncio
import contextlib
import dataclasses
import gc
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from test_sweeps import GRID, ROOT, TRAIN, files

from vae_jax import source
from vae_jax.errors import UserError
from vae_jax.files import TEMPORARY
from vae_jax.launch import cluster, sweeps
from vae_jax.session import Stop
from vae_jax.training import checkpoints
from vae_jax.workdir import run_dir

pytest.importorskip("distributed")
LONG = [dataclasses.replace(config, num_epochs=60) for config in GRID[2:]]


def start(stack, *command, path=ROOT, **more):
    hostile = {"JAX_ENABLE_X64": "1", "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16", "JAX_DEFAULT_PRNG_IMPL": "rbg"}
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(path)} | hostile | more
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, cwd="/",  # or the package of this folder would go before that of `path`
    )  # fmt: skip

    def end():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a worker and its nanny
        process.wait(timeout=60)

    stack.callback(end)
    return process


def start_scheduler(stack):
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    start(stack, "distributed.cli.dask_scheduler", "--host=127.0.0.1", f"--port={port}", "--no-dashboard")
    return f"tcp://127.0.0.1:{port}"


def start_worker(stack, address, *flags, **more):
    worker = "distributed.cli.dask_worker", address, "--nthreads=1", "--memory-limit=4GiB", "--no-dashboard"
    return start(stack, *worker, *flags, **more)


class Display:
    """What a launch shows."""

    def __init__(self):
        self.lines, self.places = [], []

    def say(self, text):
        self.lines.append(text)

    def where(self, text):
        self.places.append(text)

    def shows(self, text):
        return self.places[-1] == text


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_cluster_trains_the_same_runs_and_survives_a_killed_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "POLL", 0.1)
    for name in ("alone", "cluster"):
        (tmp_path / name).mkdir()
    options, display = TRAIN._replace(checkpoint_every_seconds=0), Display()
    with contextlib.ExitStack() as stack:
        address = start_scheduler(stack)
        for _ in range(2):
            start_worker(stack, address)
        executor = stack.enter_context(cluster.connect(address, display))
        wait_for(lambda: display.shows("2 workers"))
        future = sweeps.LocalDevices().submit(
            sweeps.train_and_evaluate, LONG, tmp_path / "cluster", options, executor=executor
        )
        folder = run_dir(tmp_path / "cluster", LONG[0])
        wait_for(lambda: checkpoints.epochs_done(folder) or future.done())
        (folder / f".params.0123456789ab{TEMPORARY}").touch()  # as a worker leaves it that is killed while it writes
        # The worker's nanny starts another one.
        pids = executor._client.run(os.getpid)
        os.kill(min(pids.values()), signal.SIGKILL)
        assert future.result(timeout=300) == []
        wait_for(lambda: display.shows("2 workers"))
    assert sweeps.train_and_evaluate(LONG, tmp_path / "alone", TRAIN, stop=Stop()) == []
    assert files(tmp_path / "cluster") == files(tmp_path / "alone")


def test_only_workers_of_this_code_compute_also_those_that_join_later(tmp_path, monkeypatch):
    """One joins with other code, one is paused, and the launch waits for the third."""
    monkeypatch.setattr(cluster, "POLL", 0.1)
    shutil.copytree(ROOT / "vae_jax", tmp_path / "vae_jax", ignore=shutil.ignore_patterns("__pycache__"))
    with open(tmp_path / "vae_jax" / "model" / "objectives.py", "a") as file:
        file.write("# changed\n")
    display, other = (
        Display(),
        rf"has another installation \(source of vae_jax \w{{12}} instead of {source.digest()[:12]}\)",
    )
    with contextlib.ExitStack() as stack:
        address = start_scheduler(stack)
        with cluster.connect(address, display) as executor:
            start = f"start some with: dask worker {address}, or see the logs of those that do not join"
            assert display.lines == [f"{address}: no workers; {start}"]
            start_worker(stack, address, "--no-nanny", path=tmp_path)
            start_worker(stack, address, "--no-nanny", DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE="0.001")
            wait_for(lambda: display.places and display.shows("2 workers, 1 paused, 1 with another installation"))
            future = executor.submit(os.getpid)  # a worker is paused some time after it has joined
            workers = executor._client.scheduler_info(n_workers=-1)["workers"].values()
            wait_for(
                lambda: (
                    display.lines[-1] == f"{address}: {display.places[-1]}; what is paused starts nothing: give it a "
                    "larger --memory-limit"
                )
            )
            # The paused one was compared, too.
            assert sorted(bool(info["resources"]) for info in workers) == [False, True]
            assert not future.done()
            before = executor._client.run(os.getpid).values()
            start_worker(stack, address, "--no-nanny")
            assert future.result(timeout=120) not in before
        assert sum(bool(re.search(other, line)) for line in display.lines) == 1
        with pytest.raises(
            UserError, match=rf"^worker tcp://127\.0\.0\.1:\d+ {other}; install the same, and start it again$"
        ):
            stack.enter_context(cluster.connect(address, display))


def info(**changes):
    """What a scheduler says of a worker."""
    return {"status": "running", "resources": {}, "local_directory": "a"} | changes


class Client:
    """A client whose scheduler and workers answer what they are told; an answer may be an exception."""

    def __init__(self, infos, answers=()):
        self.infos, self.answers, self.asked = infos, dict(answers), []

    def scheduler_info(self, n_workers):
        assert n_workers == -1
        return {"workers": self.infos}

    def sync(self, function, *args):
        return asyncio.run(function(*args))

    async def run(self, function, expected, workers):
        self.asked += workers
        answer = self.answers[workers[0]]
        if isinstance(answer, Exception):
            raise answer
        return {workers[0]: answer}

    async def get_versions(self):
        return {"workers": {"w": {"host": {"python": "3.99.1.final.0"}}, "v": {"host": {"python": sys.version}}}}


SAME = source.installation()


@pytest.mark.parametrize(
    ("answer", "differs"),
    [
        (SAME, ""),
        ({**SAME, "jax": "0.0.1"}, rf"jax 0\.0\.1 instead of {SAME['jax']}"),
        (
            {**SAME, "Python": "3.99", "flax": None},
            rf"Python 3\.99 instead of {SAME['Python']}, flax none instead of .*",
        ),
        ({name: SAME[name] for name in SAME if name != "jaxlib"}, "jaxlib none instead of .*"),
        (TypeError("code() argument 13 must be str, not int"), rf"Python 3\.99 instead of {SAME['Python']}"),
    ],
)
def test_what_differs_is_named(answer, differs):
    client = Client({"w": info()}, {"w": answer})
    workers = cluster.Workers(client, "tcp://s:1")
    lines = workers.look()
    assert client.asked == ["w"]
    assert len(lines) == bool(differs)
    if differs:
        assert re.fullmatch(
            rf"worker w has another installation \({differs}\); install the same, and start it again", lines[0]
        )
        assert workers.look() == []  # said once
        client.infos = {"w": info(local_directory="b")}  # started again, at the same address
        assert workers.look() == lines


def test_a_worker_that_cannot_read_the_question_is_refused():
    client = Client({"v": info()}, {"v": ModuleNotFoundError("No module named\n'vae_jax'")})
    (line,) = cluster.Workers(client, "tcp://s:1").look()
    assert "(ModuleNotFoundError: No module named 'vae_jax')" in line


def test_a_worker_that_does_not_answer_is_asked_again():
    client = Client({"w": info()}, {"w": TimeoutError()})
    workers = cluster.Workers(client, "tcp://s:1")
    assert workers.look() == []
    client.answers["w"] = SAME
    workers.look()
    assert client.asked == ["w", "w"]


def test_who_has_the_resource_is_not_asked():
    client = Client({"w": info(resources={cluster._resource(): 1})})
    assert cluster.Workers(client, "tcp://s:1").look() == []


START = "start some with: dask worker tcp://s:1, or see the logs of those that do not join"
PAUSE = "what is paused starts nothing: give it a larger --memory-limit"
PAUSED, OTHER = info(status="paused"), info(local_directory="b")


@pytest.mark.parametrize(
    ("infos", "text", "remedy"),
    [
        ([], "no workers", START),
        ([info()], "1 worker", ""),
        ([info(), PAUSED], "2 workers, 1 paused", ""),
        ([PAUSED, PAUSED], "2 workers, 2 paused", PAUSE),
        ([OTHER], "1 worker, 1 with another installation", START),
        ([OTHER, PAUSED], "2 workers, 1 paused, 1 with another installation", PAUSE),
    ],
)
def test_the_display_shows_the_workers(infos, text, remedy):
    answers = {f"w{i}": {} if info is OTHER else SAME for i, info in enumerate(infos)}
    workers = cluster.Workers(Client({f"w{i}": info for i, info in enumerate(infos)}, answers), "tcp://s:1")
    workers.look()
    assert workers.describe() == text
    assert workers.lack() == (f"{text}; {remedy}" if remedy else "")


class Looks(threading.Event):
    """Gives the scheduler other workers at each look, and ends after the last."""

    def __init__(self, client, looks):
        super().__init__()
        self.client, self.looks = client, list(looks)

    def wait(self, timeout):
        self.client.infos = dict(enumerate(self.looks.pop(0))) if self.looks else {}
        return not self.client.infos and not self.looks


def test_what_a_launch_lacks_is_said_once_until_it_has_it(monkeypatch):
    admitted = {"resources": {cluster._resource(): 1}}
    able, paused = info(**admitted), info(status="paused", **admitted)
    client, display = Client({}), Display()
    cluster.Workers(client, "tcp://s:1").watch(display, Looks(client, [[able], [paused], [paused], [able], [paused]]))
    assert display.places == ["1 worker", "1 worker, 1 paused", "1 worker, 1 paused", "1 worker", "1 worker, 1 paused"]
    assert display.lines == [f"tcp://s:1: 1 worker, 1 paused; {PAUSE}"] * 2


def test_a_lost_scheduler_does_not_end_the_display(monkeypatch):
    client, display = Client({}), Display()
    looks = [[info(resources={cluster._resource(): 1})]] * 2
    monkeypatch.setattr(client, "scheduler_info", lambda n_workers: {})
    cluster.Workers(client, "tcp://s:1").watch(display, Looks(client, looks))
    assert display.places == ["no workers"] * 2
    monkeypatch.setattr(client, "scheduler_info", lambda n_workers: 1 / 0)
    cluster.Workers(client, "tcp://s:1").watch(display, Looks(client, looks))
    assert display.lines == []


def test_no_scheduler_at_the_address(monkeypatch):
    monkeypatch.setattr(cluster, "TIMEOUT", 1.0)
    message = r"^no Dask scheduler answers at tcp://127\.0\.0\.1:1 .*; start one with: dask scheduler$"
    with pytest.raises(UserError, match=message), cluster.connect("tcp://127.0.0.1:1", Display()):
        pass


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "tls://127.0.0.1:1"])  # unknown; without a certificate
def test_a_client_that_cannot_be_made_does_not_wait_as_the_process_ends(address):
    message = rf"^no Dask scheduler answers at {address} "
    with pytest.raises(UserError, match=message) as error, cluster.connect(address, Display()):
        pass
    clients = [found for found in gc.get_objects() if type(found).__name__ == "OwnClient"]
    assert {client.status for client in clients} == {"closed"}, error  # which holds one


@pytest.mark.parametrize("name", ["sched", "sched.json", "host:8786"])
def test_a_scheduler_file_is_recognized_by_being_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(json.dumps({"id": "Scheduler-1", "address": "tcp://10.0.0.1:8786"}))
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (name, str(tmp_path / name), f"~/{name}"):
        assert cluster.locate(path) == "tcp://10.0.0.1:8786"


@pytest.mark.parametrize(
    "address", ["tcp://host:8786", "host:8786", "127.0.0.1:1", "[::1]:8786", "tls://a.b-c.d:65535"]
)
def test_addresses(address):
    assert cluster.locate(address) == address


@pytest.mark.parametrize(
    "address",
    ["host", "tcp://host", ":8786", "host:", "host:port", "host:0", "host:65536", "host:8786/status", "tcp://", "a b:1",
     "/nowhere/sched.json", "sched", ".", "x" * 5000, "http:/host:1", "[::1:8786", "host:٣", "a\nb:1"],
)  # fmt: skip
def test_what_is_no_address_is_one_line_at_once(address):
    message = r"is neither HOST:PORT nor a file; give the address of a Dask scheduler, or its --scheduler-file$"
    with pytest.raises(UserError, match=message):
        cluster.locate(address)


@pytest.mark.parametrize("content", ["", "tcp://host:8786", "[]", "{}", '{"address": 3}', '{"address": "host"}'])
def test_what_is_no_scheduler_file_is_one_line_at_once(tmp_path, content):
    (tmp_path / "file").write_text(content)
    with pytest.raises(UserError, match=r"^\S+/file is not the file of a Dask scheduler; "):
        cluster.locate(str(tmp_path / "file"))
