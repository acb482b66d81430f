"""pigtail on the host: everything behind the `pigtail` command."""

__version__ = "0.1.0"
