"""What all tests share: the plugin that runs tests/firmware inside MicroPython."""

pytest_plugins = ["micropython_plugin"]
