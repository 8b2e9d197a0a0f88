"""Statistics of training records: loss curves, schedules, trajectories."""
