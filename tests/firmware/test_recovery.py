"""frozen/recovery: a file system that does not mount is told, and neither formatted nor written to."""

import os
import random
import recovery
import vfs
from nor import Nor

SIZE = 512


def _chip():
    nor = Nor(24, SIZE)
    vfs.VfsLfs2.mkfs(nor)
    vfs.mount(vfs.VfsLfs2(nor), "/f")
    for i in range(60):
        with open("/f/kept", "w") as f:
            f.write("drive %d" % i)
    vfs.umount("/f")
    nor.journal = []
    return nor


def _spoil(nor, block, content):
    nor.data[block * SIZE : (block + 1) * SIZE] = content


def _mount(nor):
    """Whether it was mounted; in any case nothing is written."""
    before = bytes(nor.data)
    mounted = recovery.mount(nor, "/f")
    assert not nor.journal and bytes(nor.data) == before
    return mounted


def test_good_file_system_is_mounted():
    recovery.reason = ""
    assert _mount(_chip())
    assert os.listdir("/f") == ["kept"] and not recovery.reason
    vfs.umount("/f")


def test_fault_4_block_0_blank_or_both_superblocks_bad_is_told_and_not_formatted():
    blank, zeros, noise = b"\xff" * SIZE, bytes(SIZE), bytes([i * 37 & 255 for i in range(SIZE)])
    for first in blank, zeros, noise:
        for second in blank, zeros, noise:
            nor = _chip()
            _spoil(nor, 0, first)
            _spoil(nor, 1, second)
            assert not _mount(nor)
            words = ["blank" if block == blank else "damaged" for block in (first, second)]
            assert "block 0 is %s, block 1 is %s; nothing was changed" % tuple(words) in recovery.reason


def test_fault_4_one_superblock_blank_as_a_cut_leaves_it_is_mounted_from_the_other():
    for block in 0, 1:
        nor = _chip()
        _spoil(nor, block, b"\xff" * SIZE)
        assert _mount(nor)
        assert os.listdir("/f") in (["kept"], [])
        vfs.umount("/f")


def test_fault_4_superblocks_of_random_bytes_never_stop_the_board():
    told = 0
    for seed in range(300):
        random.seed(seed)
        nor = _chip()
        for _ in range(random.choice((1, 3, 20))):
            nor.data[random.randrange(2 * SIZE)] ^= 1 << random.randrange(8)
        if _mount(nor):
            vfs.umount("/f")
        else:
            told += 1
    assert told > 10


def test_fault_4_chip_that_does_not_answer_is_told():
    class Silent:
        def readblocks(self, block, buf, offset=0):
            raise OSError(5)

        def ioctl(self, op, arg):
            return {4: 24, 5: SIZE}.get(op, 0)

    assert not recovery.mount(Silent(), "/f")
    assert "block 0 is not readable" in recovery.reason
