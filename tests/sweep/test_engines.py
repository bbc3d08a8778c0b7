"""Processes and a real Dask cluster: the same bits as threads, and what is left when workers die."""

import os
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
import sweep_models as models
import xarray as xr

import toymesa as tm
from toymesa import measures
from toymesa.errors import ArgumentError, DomainError, PartialSweep, StoreError
from toymesa.sweep.drive import drive
from toymesa.sweep.tasks import Report

OVER = {"k": np.linspace(0.5, 3.0, 6), "start_x": np.linspace(0.05, 0.9, 4)}


def run(store=None, over=None, **more):
    given = {"measure": {"x": "x", "own": models.deadly}, "t": 2.0, "rng": 1, "chunk": 4, "progress": False} | more
    return tm.sweep(models.LOGISTIC, OVER if over is None else over, store=store, **given)


@pytest.fixture(scope="module")
def fresh():
    return run()


def check_poison(data, fresh):
    """The cells that kill every worker say so; all others have their bits."""
    poison = np.isclose(fresh["k"], 1.5)
    assert poison.sum() == 1
    lost = data["status"] == tm.Status.WORKER_LOST
    np.testing.assert_array_equal(lost.values, np.broadcast_to(poison[:, None], lost.shape))
    for name in ("x", "own", "nsteps"):
        xr.testing.assert_equal(data[name].where(~lost), fresh[name].where(~lost))
    assert np.isnan(data["own"].values[lost.values]).all()
    assert "every process that tried it died" in data.attrs["notes"]


@pytest.mark.fault
def test_a_pool_of_processes_survives_a_killed_one(tmp_path, fresh, monkeypatch):
    monkeypatch.setenv(models.DEADLY, str(tmp_path))
    (tmp_path / "once").touch()
    data = run(tmp_path / "st", engine="processes", workers=1)
    assert not (tmp_path / "once").exists()
    xr.testing.assert_equal(data, fresh)
    assert tm.verify_sweep(tmp_path / "st").ok


@pytest.fixture(scope="module")
def wishes(tmp_path_factory):
    """The directory that says when workers die."""
    place = tmp_path_factory.mktemp("wishes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(models.DEADLY, str(place))
        yield place


@pytest.fixture(scope="module")
def cluster(wishes):
    """Two worker processes on this machine, in an environment where tests can be imported."""
    import dask
    from distributed import Client, LocalCluster

    here = os.path.dirname(__file__)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [here, os.path.dirname(os.path.dirname(here)), *([before] if before else [])]
    )
    try:
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 0, "distributed.worker.daemon": True}),
            LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
                host="127.0.0.1",
                silence_logs=60,
            ) as local,
            Client(local) as client,
        ):
            yield client
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@pytest.mark.fault
@pytest.mark.slow
def test_a_cluster_of_two_processes(cluster, wishes, fresh, tmp_path):
    # every worker writes its own blocks; the same bits and the same files as from threads
    data = run(tmp_path / "st", engine=cluster)
    xr.testing.assert_equal(data, fresh)
    assert tm.verify_sweep(tmp_path / "st").ok
    run(tmp_path / "local")
    for file in (tmp_path / "local" / "x").glob("c.*"):
        assert file.read_bytes() == (tmp_path / "st" / "x" / file.name).read_bytes()
    # without a store, by the scheduler's address, in other blocks
    xr.testing.assert_equal(run(engine=cluster.scheduler.address, chunk=7), fresh)
    # paths of a model with noise
    noisy = {"measure": ["x", measures.variance("x")], "paths": 20, "step": 0.1}
    at_home, away = (
        tm.sweep(models.OU, {"k": [0.5, 1.0, 2.0]}, t=1.0, rng=1, progress=False, engine=e, **noisy)
        for e in (None, cluster)
    )
    xr.testing.assert_equal(at_home, away)
    # a worker that dies once costs nothing
    (wishes / "once").touch()
    xr.testing.assert_equal(run(tmp_path / "killed", engine=cluster), fresh)
    assert not (wishes / "once").exists()


@pytest.mark.fault
@pytest.mark.slow
def test_cells_that_kill_every_worker_are_recorded(cluster, wishes, fresh, tmp_path):
    (wishes / "always").touch()
    try:
        data = run(tmp_path / "st", {"k": OVER["k"][1:4], "start_x": OVER["start_x"][:1]}, engine=cluster, chunk=3)
    finally:
        (wishes / "always").unlink()
    check_poison(data, fresh.isel(k=slice(1, 4), start_x=slice(1)))
    assert tm.verify_sweep(tmp_path / "st").ok


def test_a_cluster_that_ends_meanwhile(fresh, tmp_path):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", silence_logs=60
        ) as local,
        Client(local) as client,
    ):

        def end(done, total):
            if done >= 8:
                local.close()

        with pytest.raises(PartialSweep, match="the loss of the cluster .* of 24 cells done.*resume=True") as caught:
            run(tmp_path / "st", engine=client, progress=end)
        assert 8 <= caught.value.done < 24
        with pytest.raises(ArgumentError, match="the dask Client is closed"):
            run(engine=client)
    xr.testing.assert_equal(run(tmp_path / "st", resume=True), fresh)


def test_a_scheduler_that_does_not_answer():
    with pytest.raises(DomainError, match="no scheduler answers at 'tcp://127.0.0.1:1'"):
        run(engine="tcp://127.0.0.1:1")


def test_a_script_without_a_guard_gets_one_line(tmp_path):
    script = tmp_path / "bare.py"
    script.write_text(
        "import sweep_models as models\nimport toymesa as tm\n"
        "tm.sweep(models.LOGISTIC, {'k': [1.0]}, t=1.0, engine='processes', workers=1, progress=False)\n"
    )
    here = os.path.dirname(__file__)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([here, os.path.dirname(os.path.dirname(here))])}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=env, timeout=100)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("a script must call sweep under if __name__ == '__main__':")


def test_what_cannot_travel_gets_one_line():
    with pytest.raises(ArgumentError, match="a function in it cannot be sent .*use threads") as caught:
        run(engine="processes", workers=1, measure={"own": lambda cell: 1.0})
    assert "\n" not in str(caught.value)


def test_optimizers_by_functions_travel(fresh):
    """The models are made before the start: what made them stays at home."""
    import pickle

    from toymesa.sweep.structure import built, structure_of

    ways = {"flow": None, "steps": lambda model: tm.with_optimizer(model, tm.Descent(0.1))}
    found = built(models.LOGISTIC, {"optimizer": ways}, structure_of(models.LOGISTIC, None))
    assert [label for label, _ in pickle.loads(pickle.dumps(found))[2]["optimizer"].choices] == ["flow", "steps"]


def test_a_worker_must_see_the_store(tmp_path):
    from toymesa.sweep.tasks import Job, writer_of

    with pytest.raises(StoreError, match="file system that all workers share"):
        writer_of(Job(None, str(tmp_path / "elsewhere"), "x"))


class Breaking:
    """Three blocks in flight die together, which is known of the first before it is of the others."""

    width = 3

    def __init__(self):
        self.pool, self.flying, self.renewed = None, [], 0

    def block(self, number):
        if self.pool is not None:
            return self.pool.submit(self.worked, number)
        self.flying.append(Future())
        if len(self.flying) == self.width:
            self.flying[0].set_exception(BrokenProcessPool())
        return self.flying[-1]

    def worked(self, number):
        time.sleep(0.01)
        return Report(np.array([number]))

    def lost(self, error):
        return isinstance(error, BrokenProcessPool)

    def renew(self):
        self.renewed += 1
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)
        for future in self.flying[1:] if self.pool is None else []:
            future.set_exception(BrokenProcessPool())
        self.pool = ThreadPoolExecutor(1)


def test_a_pool_that_breaks_slowly_is_made_anew_once():
    engine, accepted = Breaking(), []
    drive(engine, None, iter(range(9)), lambda number, report: accepted.append((number, int(report.counts[0]))))
    engine.pool.shutdown()
    assert sorted(accepted) == [(n, n) for n in range(9)]
    assert engine.renewed == 1
