"""The compute-node vRouter agent; `docs/architecture.md` is the map of the packages."""

__version__ = "0.1.0"
