"""The device's configuration as a person handles it: read, checked by the device's own schema, compared, written."""
