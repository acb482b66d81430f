"""The host's errors: one root, caught once in `cli.main` and shown as one line.

PigtailError            what the user is told: what is wrong and what to do
  InputError            a file or an argument
  SetupError            the machine lacks something, or it could not be brought
  BrokerError           the MQTT broker cannot be reached, or refused
  SimError              the simulation could not run
"""


class PigtailError(Exception):
    """Root of all errors meant for the user; the message is one line."""


class InputError(PigtailError):
    """A file or an argument is missing, unreadable or makes no sense."""


class SetupError(PigtailError):
    """The machine lacks something that the command needs."""


class BrokerError(PigtailError):
    """The MQTT broker cannot be reached, or it refused."""


class SimError(PigtailError):
    """The simulation could not start or could not go on."""
