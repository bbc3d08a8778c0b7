"""Exact solutions in internal time s, ds = g(s) dt, brought back to training time, for many rows at once.

Training converges at the first positive root s_inf of the rate g. With u = s_inf - s the function h(u) = u/g is analytic
on [0, s_inf], so it is represented by piecewise Chebyshev interpolants, and

    t(u) = h(0) ln(s_inf/u) + integral of (h(v) - h(0))/v from u to s_inf:

the logarithmic divergence at convergence is handled analytically. Inverting t(u) by Newton's method on ln u gives u, and
then g = u/h(u), to a relative accuracy that does not degrade as g goes to 0.

No sum runs over rows or in an order that depends on how many there are: a row's bits depend on that row alone.
"""

from toymesa.solver.internal_time.states import states_at

__all__ = ["states_at"]
