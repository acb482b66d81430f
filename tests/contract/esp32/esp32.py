"""An ESP32's `esp32` as the boards use it: `table` holds the partitions by label."""

table = {}


class Partition:
    TYPE_APP, TYPE_DATA = 0, 1

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=4096):
        return [table[label]] if type == Partition.TYPE_DATA and label in table else []
