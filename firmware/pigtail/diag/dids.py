"""Data by identifier (ISO 14229-1, 11.2): several in one request, and their answer taken apart."""

from pigtail.diag.isotp import Failure


def read(dids) -> bytes:
    """The request for data by up to three identifiers."""
    request = bytearray(b"\x22")
    for did in dids:
        request.append(did >> 8)
        request.append(did & 0xFF)
    return bytes(request)


def data(answer, lengths):
    """{did: data} of an answer to `read`. `lengths` are the (did, length of its data) that were asked for, in that order; the
    last one's may be None. ECUs leave out what they do not have. Raises Failure when the answer cannot be taken apart."""
    found, at = {}, 1
    for did, length in lengths:
        if len(answer) < at + 2 or answer[at] << 8 | answer[at + 1] != did:
            continue
        end = len(answer) if length is None else at + 2 + length
        found[did] = answer[at + 2 : end]
        at = end
    if at != len(answer) or not found:
        raise Failure("form")
    return found
