"""Takes the codes of a batch out of bit streams that may be cut or forged: Elias gamma, Golomb-Rice, runs."""

from host_tools.errors import InputError

ESCAPE = 16  # so many ones announce a value in plain bits
RUN_BITS = 20  # of a run that is escaped


class Bits:
    """A place in the bits of `data`, the most significant of each byte first; `section` names them in errors."""

    def __init__(self, data: bytes, section: str) -> None:
        self._bits = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}" if data else ""  # find() is what makes it quick
        self._section = section
        self._at = 0

    def number(self, width: int) -> int:
        """The next `width` bits."""
        stop = self._at + width
        if stop > len(self._bits):
            raise InputError(f"batch: the {self._section} section is {stop - len(self._bits)} bits too short; it was cut")
        value = int(self._bits[self._at : stop], 2) if width else 0
        self._at = stop
        return value

    def rice(self, k: int, escape: int) -> int:
        """A Golomb-Rice code with `k` low bits; an escaped value has `escape` bits."""
        stop = self._bits.find("0", self._at, self._at + ESCAPE)
        if stop < 0:
            self.number(ESCAPE)
            return self.number(escape)
        quotient = stop - self._at
        self._at = stop + 1
        return quotient << k | self.number(k)

    def gamma(self) -> int:
        """An Elias gamma code less one: 0 to 2^32 - 1."""
        stop = self._bits.find("1", self._at, self._at + 33)
        if stop < 0:
            raise InputError(f"batch: no first value where the {self._section} section must have one; it was cut or forged")
        zeros, self._at = stop - self._at, stop
        value = self.number(zeros + 1) - 1
        if value >> 32:
            raise InputError(f"batch: a first value of the {self._section} section is longer than 32 bits")
        return value

    def close(self) -> None:
        """Raises InputError unless only the zeros are left that fill up the last byte."""
        rest = self._bits[self._at :]
        if len(rest) >= 8 or "1" in rest:
            raise InputError(f"batch: the {self._section} section has {len(rest)} bits left over; it was forged")


class Runs:
    """Symbols 0 and 1, of which the bits hold the lengths of the runs of 0. A 1 ends each run but the last."""

    def __init__(self, bits: Bits) -> None:
        self.bits = bits
        self._state = 32
        self._left = -1  # zeros of the run under way; below 0 none is

    def is_zero(self) -> bool:
        """Takes a symbol: whether it is 0."""
        if self._left < 0:
            self._left = self.bits.rice((self._state >> 4).bit_length(), RUN_BITS)
            self._state += ((self._left << 3) - self._state) >> 2
        self._left -= 1
        return self._left >= 0

    def close(self) -> None:
        """Raises InputError where anything is left over."""
        if self._left > 0:
            raise InputError(f"batch: a run goes {self._left} symbols beyond the end; it was forged")
        self.bits.close()
