"""The innermost of the batch codec (SPEC section 2): values into bits, viper over flat words, nothing allocated.

An open batch is a row of words `w`, one writer of eight words for each section: V at 0, Q at 8, P at 16, E at 24. Of a writer: 0
bits not yet in a byte, 1 how many, 2 address of the next byte, 3 the step to the one after, 4 where it began, 5 the run and 6 its
state. Instead, V's words 5 to 7 are samples coded, marks noted and the row to go on with, E's 5 and 6 the tick of the record
before and samples. V grows towards Q, and E towards P. Words 32 and 33 are the addresses of each row's presence and of its
classes, a bit for each class; 34 to 57 are for `take` alone.

`at` holds the addresses of what all batches share: see `batch._Shared`.
"""


# A row that does not fit is taken back whole: where that might come, the writers are put aside before it. What has become of its
# signals' states does not matter, since the batch is closed then. In V and Q together a signal costs 85 bits at most, where it
# ends a long run, and the others of its row 65 each: with the bits that waited 11 bytes for one, 9 for each more. Each has 5 for
# its mark. Viper keeps the first three locals in registers.
@micropython.viper
def take(st: int, s: int, size: int, w: ptr32, at: ptr32, due: int, number: int) -> int:
    # Codes the signals of stream `number` that are due, row by row. Returns 1 when all is done, 0 when the batch is full, 2 when
    # marks must be coded before it goes on. Marks are noted as index and, from bit 16 on, quality.
    number = number << 5
    near = at[10]
    next_near = ptr32(near)[0] & 0xFFFF
    m = w[7]
    end = 0 if w[5] > 0xC000 else 1  # of 65,535 samples; a tick has fewer than are left then
    while end and m < at[0]:
        here = int(ptr8(w[33])[m]) & due
        if here:
            s = ptr32(at[1] + m * 12)[1]
            stop = int(uint(s) >> 16)
            s = s & 0xFFFF
            if w[6]:
                end = 2
                break
            tight = 1 if w[10] - w[2] < 1 + 9 * stop or w[18] - w[26] < 64 + 5 * stop else 0
            stop += s
            if tight:
                c = 24
                while c:
                    c -= 1
                    w[c + 34] = w[c]
            fresh = int(ptr8(at[4])[m]) & here
            changed = fresh ^ int(ptr8(w[32])[m]) & here
            after = 1
            if changed:
                plain = 0
            else:
                plain = int(ptr8(at[8])[m])
                if plain and fresh:
                    w[5] += stop - s
                c = here
                while c:
                    w[21] += c & 1
                    c = c >> 1
                if fresh == 0:
                    s = stop
            while s < stop:
                b = 32
                sample = plain
                if not plain:
                    after = 1
                    c = int(ptr8(at[2])[s]) ^ number
                    if c < 32:
                        c = 1 << (c & 15)
                        if changed and here & c:
                            here ^= c
                            if changed & c:
                                if tight and w[18] - w[26] < 8:
                                    end = 0
                                    break
                                ptr8(w[32])[m] = int(ptr8(w[32])[m]) ^ c
                                b = 16
                                after = 0
                            else:
                                w[21] += 1
                        if after and fresh & c:
                            sample = 1
                            w[5] += 1
                if sample:
                    if tight and w[10] - w[2] < 10:
                        end = 0
                        break
                    st = at[7] + (s << 4)
                    x = ptr32(at[3])[s]
                    if ptr8(at[5])[s] != ptr8(at[6])[s]:
                        ptr8(at[6])[s] = ptr8(at[5])[s]
                        ptr32(at[11])[w[6]] = s | int(ptr8(at[5])[s]) << 16
                        w[6] += 1
                    if x == ptr32(st)[0] and x == ptr32(st)[1] and ptr32(st)[2] == 0 and uint(ptr32(st)[3]) < uint(8):
                        w[13] += 1  # all stays as it is
                    elif ptr32(st)[2] < 0:
                        b = 0
                        more = 0
                        rest_size = 0
                        d = x
                        if ptr8(at[9])[s * 4 + 3] & 64:
                            d = (x << 1) ^ (x >> 31)
                        d += 1
                        size = int(uint(d) >> 1)
                        rest = 0
                        while size:
                            rest += 1
                            size = size >> 1
                        if d == 0:
                            rest = 32
                        if rest < 12:
                            c = d
                            size = (rest << 1) + 1
                            rest = 0
                        else:
                            more = rest
                            c = 0
                            size = rest - 8
                            rest = 0
                            rest_size = 8
                        ptr32(st)[0] = x
                        ptr32(st)[1] = x
                        ptr32(st)[2] = 16
                        ptr32(st)[3] = 0
                    else:
                        x1 = ptr32(st)[0]
                        e2 = x1 - ptr32(st)[1]
                        p = x1
                        if ptr32(st)[3] < 0:
                            p += e2
                        d = x - p
                        if s >= next_near:
                            while next_near < s:
                                near += 4
                                next_near = ptr32(near)[0] & 0xFFFF
                            if next_near == s:
                                a = int(uint(ptr32(near)[0]) >> 16)
                                d = (d + a) // (2 * a + 1)
                                x = p + d * (2 * a + 1)
                        c = ptr32(st)[2]  # mean
                        a = d
                        if c < 6:
                            if d == 0:
                                w[13] += 1
                            else:
                                b = 8
                                more = -1
                                if d < 0:
                                    a = 0 - d
                        else:
                            b = 0
                            if d < 0:
                                a = 0 - d
                        e1 = a
                        if uint(a) > uint(0x100000):
                            e1 = 0x100000
                        e1 = e1 << 4
                        size = (c << 3) + 256
                        if e1 > size:
                            e1 = size
                        ptr32(st)[2] = c + ((e1 - c) >> 2)
                        e1 = x - x1
                        e2 = e1 - e2
                        if e1 < 0:
                            e1 = 0 - e1
                        if e2 < 0:
                            e2 = 0 - e2
                        if uint(e1) > uint(0x100000):
                            e1 = 0x100000
                        if uint(e2) > uint(0x100000):
                            e2 = 0x100000
                        size = ptr32(st)[3]
                        ptr32(st)[3] = size + e2 - e1 - (size >> 3)
                        ptr32(st)[1] = x1
                        ptr32(st)[0] = x
                        if b == 0:
                            d = (d << 1) ^ (d >> 31)
                            more = 0
                            rest_size = 0
                            c = c >> 4
                            while c:
                                rest_size += 1
                                c = c >> 1
                            size = int(uint(d) >> rest_size)
                            if uint(size) < uint(16):
                                c = ((1 << size) - 1) << 1
                                size += 1
                                rest = d & ((1 << rest_size) - 1)
                            else:
                                c = 0xFFFF
                                size = 16
                                rest = d
                                rest_size = 32
                if b < 32:
                    if b:
                        if b == 16:
                            more = 0
                        rest_size = 0
                        rest = w[b + 5]
                        c = w[b + 6]
                        w[b + 6] = c + (((rest << 3) - c) >> 2)
                        w[b + 5] = 0
                        c = c >> 4
                        while c:
                            rest_size += 1
                            c = c >> 1
                        size = rest >> rest_size
                        if size < 16:
                            c = ((1 << size) - 1) << 1
                            size += 1
                            rest = rest & ((1 << rest_size) - 1)
                        else:
                            c = 0xFFFF
                            size = 16
                            rest_size = 20
                    e1 = w[b]
                    e2 = w[b + 1]
                    p = w[b + 2]
                    while True:
                        if size + rest_size < 25:
                            c = c << rest_size | rest
                            size += rest_size
                            rest_size = 0
                        e1 = e1 << size | c
                        e2 += size
                        while e2 > 7:
                            e2 -= 8
                            ptr8(p)[0] = e1 >> e2
                            p += w[b + 3]
                        if rest_size > 16:
                            size = rest_size - 16
                            c = int(uint(rest) >> 16)
                            rest = rest & 0xFFFF
                            rest_size = 16
                        elif rest_size:
                            size = rest_size
                            c = rest
                            rest_size = 0
                            rest = 0
                        elif more > 0:
                            c = 1
                            size = 1
                            rest = d & ((1 << more) - 1)
                            rest_size = more
                            more = 0
                        elif more:
                            more = 0
                            a -= 1
                            c = int(uint(d) >> 31)
                            rest = 0
                            if uint(a) < uint(16):
                                c = (((c + 1) << a) - 1) << 1
                                size = a + 2
                            else:
                                c = c << 16 | 0xFFFF
                                size = 17
                                rest = a
                                rest_size = 32
                        else:
                            break
                    w[b] = e1
                    w[b + 1] = e2
                    w[b + 2] = p
                s += after
            if tight and w[18] - w[26] < 16 + 5 * w[6]:
                end = 0
            if end == 0:
                c = 24
                while c:
                    c -= 1
                    w[c] = w[c + 34]
                break
        m += 1
    w[7] = m if end != 1 else 0
    return end


@micropython.viper
def begin(w: ptr32, at: ptr32, number: int, signals: int):
    # Forgets all that the batch of stream `number` knows of its signals.
    b = 0
    while b < 32:
        if b < 24:
            w[b] = 0
        w[b + 1] = 0
        w[b + 2] = w[b + 4]
        w[b + 5] = 0
        w[b + 6] = 32 if b & 8 or b & 16 else 0
        b += 8
    w[30] = 0
    while signals:
        signals -= 1
        if int(ptr8(at[2])[signals]) >> 5 == number:
            ptr8(at[6])[signals] = 0
            ptr32(at[7] + (signals << 4))[0] = 0
            ptr32(at[7] + (signals << 4))[2] = -1
    b = at[0]
    while b:
        b -= 1
        ptr8(w[32])[b] = 255


@micropython.viper
def events(w: ptr32, at: ptr32, events: ptr32, i: int, n: int, number: int, room: int, is_mark: int) -> int:
    # Codes events (index, tick, raw, quality) of stream `number` from the i-th on, each behind a mark where its quality is not
    # the one told; with `is_mark` only the marks. Returns where it stopped: at another stream's event, or where it was full.
    op = w[26]
    room += op
    while i < n:
        event = ptr32(int(events) + (i << 4))
        s = event[0]
        c = int(ptr8(at[2])[s])
        quality = event[3] & 7
        mark = 1 if is_mark or quality != int(ptr8(at[6])[s]) else 0
        need = op + 9 * mark
        if not is_mark:
            need += 15 + 15 * ((c >> 4) & 1)  # a low half takes its high half along
        if c >> 5 != number or need > room:
            break
        ptr8(at[6])[s] = quality
        while mark >= is_mark:
            since = ((event[1] - w[29]) << 4) >> 4  # ticks are 28 bits wide
            w[29] = event[1]
            z = s << 2 | mark
            field = 0
            while field < 3:
                if field == 1:
                    z = (since << 1) ^ (since >> 31)
                elif field == 2:
                    if mark:
                        z = quality
                    else:
                        z = event[2] - ptr32(at[7] + (s << 4))[0]
                        ptr32(at[7] + (s << 4))[0] = event[2]
                        z = (z << 1) ^ (z >> 31)
                        w[30] += 1
                while z & -128:
                    ptr8(op)[0] = z & 127 | 128
                    op += 1
                    z = int(uint(z) >> 7)
                ptr8(op)[0] = z
                op += 1
                field += 1
            mark -= 1
        i += 1
    w[26] = op
    return i


@micropython.viper
def append(w: ptr32, record: ptr8, n: int):
    i = 0
    while i < n:
        ptr8(w[26])[i] = record[i]
        i += 1
    w[26] += n


@micropython.viper
def room(w: ptr32) -> int:
    # Bytes that E may still take.
    return w[18] - w[26] - 8


@micropython.viper
def used(w: ptr32, b: int) -> int:
    # Whole bytes of a section.
    return (w[b + 2] - w[b + 4]) * w[b + 3]


@micropython.viper
def gather(w: ptr32, b: int, skip: int, n: int, out: ptr8, at: int):
    # Copies `n` bytes of a section, from its byte `skip` on, to out[at:], in the order in which they were written.
    p = w[b + 4] + skip * w[b + 3]
    while n:
        out[at] = ptr8(p)[0]
        p += w[b + 3]
        at += 1
        n -= 1
