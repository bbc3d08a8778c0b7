"""Published numbers that the mechanism model and the linear gate contain as limits, each with its source."""

from __future__ import annotations

import numpy as np
import pytest

import toymesa as tm
from toymesa.theorems import mechanisms as theorems


def test_the_linear_gate_is_a_two_layer_network_when_one_mechanism_is_frozen():
    """Saxe, McClelland and Ganguli 2014 (arXiv 1312.6120): the product of two balanced layers learns a mode of strength s
    as u(t) = s e^(2st) / (e^(2st) - 1 + s/u_0). With w frozen at 0 the output of the gate is y = d m, and with equal rates
    and equal starts of d and m it is that network with s = 1."""
    u0 = 1e-3
    times = np.linspace(0.5, 6.0, 12)
    published = np.exp(2 * times) / (np.exp(2 * times) - 1 + 1 / u0)
    begin = {"w": 0.0, "m": np.sqrt(u0), "d": np.sqrt(u0)}
    params = {"rate_w": 1e-13, "rate_m": 1.0, "rate_d": 1.0, "diversity": 1.0}
    for method in ("closed", "dop853"):
        run = tm.solve(tm.models.gated, times, params=params, start=begin, method=method, rtol=1e-11, atol=1e-13)
        assert run["output"].values == pytest.approx(published, rel=1e-6)


def test_strong_decay_is_the_mean_field_potts_model():
    """Wu 1982 (Rev. Mod. Phys. 54, 235), mean-field theory of the q-state Potts model: with weights p_r ~ e^(J p_r) the
    transition for q > 2 is of first order, at J = 2 (q-1)/(q-2) ln(q-1), where the favoured state takes the share
    (q-1)/q. As the decay lambda grows, J = n/(lambda mu) for q mechanisms."""
    q = np.arange(3, 12)
    lam, mu = 1e8, 0.3
    found = theorems.maxwell_point(lam, mu, mechanisms=q)
    published = 2 * (q - 1) / (q - 2) * np.log(q - 1)
    assert found.diversity / (lam * mu) == pytest.approx(published, rel=1e-6)
    leading, _ = theorems.branch_shares(found.x, mechanisms=q)
    assert leading == pytest.approx((q - 1) / q, rel=1e-6)
