"""What is exactly known about two optimizers with quadratic objectives, and what is known of many in the limit."""

from __future__ import annotations

from toymesa.theorems.linear_joint.blocks import block_course, block_curvature, block_decay, block_jacobian
from toymesa.theorems.linear_joint.pair import (
    MAP_LABELS,
    Hopf,
    JointStability,
    coupling_map,
    effective_curvature,
    hopf,
    joint_course,
    joint_stability,
    largest_step,
    least_friction,
    seeing_through,
)
from toymesa.theorems.linear_joint.random import (
    TRACY_WIDOM,
    critical_spread,
    limit_edge,
    random_couplings,
    rightmost,
    stable_share,
)

__all__ = [
    "MAP_LABELS",
    "TRACY_WIDOM",
    "Hopf",
    "JointStability",
    "block_course",
    "block_curvature",
    "block_decay",
    "block_jacobian",
    "coupling_map",
    "critical_spread",
    "effective_curvature",
    "hopf",
    "joint_course",
    "joint_stability",
    "largest_step",
    "least_friction",
    "limit_edge",
    "random_couplings",
    "rightmost",
    "seeing_through",
    "stable_share",
]
