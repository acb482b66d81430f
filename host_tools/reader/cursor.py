"""Takes the integers of a batch out of bytes that may be cut or forged."""

from host_tools.errors import InputError

VARINT_BYTES = 5


class Cursor:
    """A place in `data` that moves forward as fields are taken; `part` names it in errors."""

    def __init__(self, data: bytes, part: str) -> None:
        self.data = data
        self.part = part
        self.position = 0

    def __len__(self) -> int:
        """Bytes not yet taken."""
        return len(self.data) - self.position

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Raises InputError when there are fewer."""
        if size > len(self):
            raise InputError(f"batch: the {self.part} is {size - len(self)} bytes too short; it was cut")
        self.position += size
        return self.data[self.position - size : self.position]

    def uint(self, size: int) -> int:
        """The next `size` bytes as an unsigned little-endian integer."""
        return int.from_bytes(self.take(size), "little")

    def text(self) -> str:
        """The UTF-8 text of so many bytes as the next varint says."""
        data = self.take(self.varint())
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"batch: a text of the {self.part} is not UTF-8") from error

    def varint(self) -> int:
        """The next unsigned LEB128 integer. Raises InputError when it is cut or longer than five bytes."""
        value = 0
        for shift in range(0, 7 * VARINT_BYTES, 7):
            byte = self.uint(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise InputError(f"batch: an integer of the {self.part} is longer than {VARINT_BYTES} bytes")

    def zigzag(self, bias: int = 0) -> int:
        """The signed 32-bit integer that the next varint less `bias` stands for. Raises InputError beyond."""
        code = self.varint() - bias
        if code >> 32:
            raise InputError(f"batch: a value of the {self.part} is longer than 32 bits")
        return code >> 1 ^ -(code & 1)
