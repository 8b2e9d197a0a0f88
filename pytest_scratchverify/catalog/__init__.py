"""Reference facts that ship with the package, with sources and status."""
