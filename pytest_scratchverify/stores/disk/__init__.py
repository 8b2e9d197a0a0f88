"""What runs keep on disk: ranges, metadata, the run's shared directory."""
