"""Many trajectories side by side in the lanes of vector registers, as code written for one model at a time."""
