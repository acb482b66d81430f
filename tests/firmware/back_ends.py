"""Both back ends of the store for one suite: a test marked `on_both` runs over sectors and over littlefs."""

import vfs
from nor import Nor
from pigtail.outbox import files
from pigtail.outbox.files import Files
from pigtail.outbox.outbox import Outbox
from pigtail.outbox.sectors import Sectors

STREAMS = (0, 1, 2, 6)
SIZE = 512  # of a segment: what takes long with 4096 happens soon


class OnSectors:
    name = "sectors"

    def __init__(self, size=SIZE, segments=16):
        self.nor = Nor(segments + 2, size)
        self._segments = segments

    def segments(self):
        return Sectors(self.nor, 2, self._segments)

    def outbox(self, boot, ram=1500, segments=(4, 4), thin=(1, 1, 1)):
        return Outbox(boot, STREAMS, self.nor, ram, segments, thin=thin)

    def close(self):
        pass


class OnFiles:
    name = "files"

    def __init__(self, size=SIZE, segments=16, blocks=0):
        self.nor = Nor(blocks or 8 * segments, size)
        self._size = size
        self._count = segments
        self._outboxes = []
        vfs.VfsLfs2.mkfs(self.nor)
        vfs.mount(vfs.VfsLfs2(self.nor), "/f")
        files.Files = lambda name, count: Files(name, count, size)

    def segments(self):
        return Files("/f/", self._count, self._size)

    def outbox(self, boot, ram=1500, segments=(4, 4), thin=(1, 1, 1)):
        self._outboxes.append(Outbox(boot, STREAMS, None, ram, segments, self._count, thin, "/f/outbox"))
        return self._outboxes[-1]

    def close(self):
        for outbox in self._outboxes:
            for log in outbox.logs:
                log.segments._close()
        files.Files = Files
        vfs.umount("/f")


def on_both(test):
    def both():
        for kind in OnSectors, OnFiles:
            back_end = kind()
            try:
                test(back_end)
            except Exception:
                print("on " + kind.name)
                raise
            finally:
                back_end.close()

    return both
