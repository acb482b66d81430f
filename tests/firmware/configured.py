"""What lies on flash of a configuration."""

import os

FILES = "/config.json", "/config.0", "/config.1", "/config.try", "/config.tried"


def forget(names=FILES) -> None:
    """Takes these files away: nobody has set anything."""
    for name in names:
        try:
            os.remove(name)
        except OSError:
            pass
