"""Vehicles as data: from a DBC or a vehicle file to the packed profile that the device loads."""
