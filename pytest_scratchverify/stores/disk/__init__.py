"""On-disk caches of ranges and metadata, and the directory that a run's processes share."""
