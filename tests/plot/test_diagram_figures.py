"""Maps over compute and diversity: what a reader sees of cells that failed."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from toymesa.plot import joint_diagram, leader_diagram

COMPUTE, DIVERSITY = np.geomspace(1e18, 1e26, 9), np.geomspace(1, 1000, 7)


def drawn(kind, failed):
    """Pixels of the map with or without failed cells in its middle."""
    shape = (DIVERSITY.size, COMPUTE.size)
    number = np.geomspace(1e-5, 0.5, COMPUTE.size) * np.ones(shape)
    leader = np.full(shape, "proxy", dtype="U10")
    if failed:
        number[2:5, 3:6], leader[2:5, 3:6] = np.nan, ""
    coords = {"compute": COMPUTE, "diversity": DIVERSITY}
    dims = ("diversity", "compute")
    names = ("critical_diversity", "measured_critical_diversity", "critical_diversity_converged")
    table = xr.Dataset({n: ("compute", np.full(COMPUTE.size, 900.0)) for n in names}, coords={"compute": COMPUTE})
    figure = Figure(figsize=(5, 4))
    canvas = FigureCanvasAgg(figure)
    ax = figure.subplots()
    if kind == "joint":
        joint_diagram(xr.Dataset({"asymmetry": (dims, number)}, coords=coords), table, threshold=0.005, ax=ax)
    else:
        data = xr.Dataset({"leader": (dims, leader), "n_eff": (dims, 1 + 0 * number)}, coords=coords)
        leader_diagram(data, names=["proxy", "deceptive"], ax=ax)
    canvas.draw()
    low, high = ax.transData.transform([(COMPUTE[3], DIVERSITY[2]), (COMPUTE[5], DIVERSITY[4])]).astype(int)
    image = np.asarray(canvas.buffer_rgba())[::-1, :, :3].astype(float).mean(axis=2)
    return image[low[1] : high[1], low[0] : high[0]], ax


@pytest.mark.parametrize("kind", ["joint", "leader"])
def test_failed_cells_are_hatched(kind):
    plain, _ = drawn(kind, failed=False)
    hatched, ax = drawn(kind, failed=True)
    # dark lines on white, at every few pixels; a cell that did not fail has one colour
    assert (hatched < 150).mean() > 0.05
    assert (hatched > 250).mean() > 0.4
    assert not ((plain < 150).any() and (plain > 250).any())
    if kind == "leader":
        assert "failed" in [t.get_text() for t in ax.get_legend().get_texts()]
