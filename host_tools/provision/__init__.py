"""Provisioning: a device's identity and keys, each made for it alone; the owner's copy of them, and a label."""
