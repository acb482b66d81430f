"""What becomes of commands, however they come: counted, and replied to."""

from pigtail.outbox.keeper import restart


class Replies:
    """What became of commands, and the reply to the latest. `keeper` is None without a profile."""

    run: int
    refused: dict
    restarts: bool
    keeper: object

    def refuse(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def answer(self, command: dict, reason: str = "", text: str = "", result=None) -> None:
        """Counts it as run, or, where there is a reason, as refused, and replies."""
        self.reply = reply = {"id": command["id"], "command": command["command"], "ok": not reason}
        if reason:
            self.refuse(reason)
            reply["reason"] = reason
            reply["text"] = text
        else:
            self.run += 1
            reply["result"] = result

    def end(self) -> None:
        """The reply has come to whoever asked; a restart may follow."""
        self.reply = None
        if self.restarts:
            restart(self.keeper)
