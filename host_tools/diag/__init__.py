"""Diagnostics by hand: requests that a device asks for us, and their answers as a mechanic reads them."""
