"""The topics below `pigtail/v1/<device>/`: SPEC section 4."""


class Topics:
    def __init__(self, device: str):
        self.base = base = "pigtail/v1/" + device
        self.status = base + "/status"
        self.telemetry = base + "/telemetry"
        self.gap = base + "/gap"
        self._profile = base + "/profile/%08x"

    def profile(self, identity: int) -> str:
        return self._profile % identity
