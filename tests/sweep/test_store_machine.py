"""A state machine drives a store through everything that happens to one. Invariant: a status of ok means fresh bits."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import sweep_models as models
import xarray as xr
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import toymesa as tm
from toymesa.errors import StoreCorrupt, StoreError, SweepInterrupted
from toymesa.sweep.writer import Writer

pytestmark = pytest.mark.fault
K, STARTS = np.linspace(0.5, 3.0, 9), np.linspace(0.05, 0.9, 7)


def run(ks, starts, store=None, **more):
    over = {"k": K[:ks], "start_x": STARTS[:starts]}
    return tm.sweep(
        models.BLOW,
        over,
        measure=["x"],
        t=2.0,
        rng=1,
        chunk=(2, 3),
        store=store,
        **({"progress": False, "workers": 1} | more),
    )


FRESH = None


def fresh():
    """Every cell there will ever be, solved without a store. Some of them blow up: their NaN is a result too."""
    global FRESH
    FRESH = run(len(K), len(STARTS)) if FRESH is None else FRESH
    return FRESH


class Killed(BaseException):
    """Stands for a process that ends between two writes."""


class Store(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="toymesa-machine-"))
        self.path = self.place / "st"
        self.damaged = False

    def teardown(self):
        shutil.rmtree(self.place)

    @initialize(ks=st.integers(1, 6), starts=st.integers(1, 5), blocks=st.integers(0, 4))
    def create(self, ks, starts, blocks):
        self.ks, self.starts = ks, starts
        self._stopped_after(blocks)

    def _stopped_after(self, blocks, **more):
        """Ctrl-C after so many blocks."""
        left = [blocks + 1]

        def stop(done, total):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt

        try:
            run(self.ks, self.starts, self.path, resume=self.path.exists(), **more | {"progress": stop})
        except (SweepInterrupted, KeyboardInterrupt):
            pass
        except (StoreCorrupt, StoreError):
            assert self.damaged

    @rule(blocks=st.integers(0, 5))
    def run_some(self, blocks):
        self._stopped_after(blocks)

    @rule(writes=st.integers(0, 12))
    def kill_between_two_writes(self, writes):
        real, left = Writer.put, [writes]

        def put(writer, file, data):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            real(writer, file, data)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Writer, "put", put)
            try:
                run(self.ks, self.starts, self.path, resume=True)
            except Killed:
                pass
            except (StoreCorrupt, StoreError):
                assert self.damaged

    @rule(data=st.data(), how=st.sampled_from(["flip", "truncate", "delete"]))
    def damage(self, data, how):
        files = sorted(f for f in self.path.rglob("*") if f.is_file() and f.name != "lock")
        file = data.draw(st.sampled_from(files))
        raw = file.read_bytes()
        if how == "delete":
            file.unlink()
        elif raw:
            bit = data.draw(st.integers(0, 8 * len(raw) - 1))
            changed = raw[: bit // 8]
            if how == "flip":
                changed += bytes([raw[bit // 8] ^ 1 << bit % 8]) + raw[bit // 8 + 1 :]
            file.write_bytes(changed)
        self.damaged = True

    @rule(name=st.sampled_from(["x/c.0.0.orphan.partial", "integrity/zarr.json.1.partial", "status/x.partial"]))
    def leave_a_partial(self, name):
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(b"half")

    @rule()
    @precondition(lambda self: not self.damaged)
    def resume(self):
        data = run(self.ks, self.starts, self.path, resume=True)
        xr.testing.assert_equal(data.load(), fresh().isel(k=slice(self.ks), start_x=slice(self.starts)))
        assert not list(self.path.rglob("*.partial"))
        assert tm.verify_sweep(self.path).ok

    @rule()
    def repair(self):
        data = run(self.ks, self.starts, self.path, verify=True)
        self.damaged = False
        xr.testing.assert_equal(data.load(), fresh().isel(k=slice(self.ks), start_x=slice(self.starts)))
        assert tm.verify_sweep(self.path).ok

    @rule(k=st.integers(0, 2), start=st.integers(0, 2), blocks=st.integers(0, 5))
    @precondition(lambda self: not self.damaged)
    def extend(self, k, start, blocks):
        self.ks, self.starts = min(len(K), self.ks + k), min(len(STARTS), self.starts + start)
        self._stopped_after(blocks, extend=True)

    @rule()
    def a_new_sweep_is_refused(self):
        before = {f: f.read_bytes() for f in self.path.rglob("*") if f.is_file()}
        with pytest.raises(StoreError):
            run(self.ks, self.starts, self.path)
        assert {f: f.read_bytes() for f in self.path.rglob("*") if f.is_file()} == before

    @invariant()
    def ok_means_fresh_bits(self):
        if self.damaged or not self.path.exists():
            return
        data = tm.open_sweep(self.path).load()
        ran = data["status"] != tm.Status.NOT_RUN
        want = fresh().isel(k=slice(data.sizes["k"]), start_x=slice(data.sizes["start_x"]))
        for name in ("x", "nsteps", "status"):
            xr.testing.assert_equal(data[name].where(ran), want[name].where(ran))


TestStore = Store.TestCase
TestStore.settings = settings(
    max_examples=10, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
