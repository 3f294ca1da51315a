"""A small reader of audit record files, written from the format's description alone: frames, and the fields of a message by number."""

import struct
import zlib


def unpack(data):
    """(the bytes, whether all of it was there) of a file as it is on the disk: plain, or gzip members of which the last may be cut."""
    if not data.startswith(b"\x1f\x8b"):
        return data, True
    out = b""
    while data:
        member = zlib.decompressobj(wbits=31)
        out += member.decompress(data)
        if not member.eof:
            return out, False
        data = member.unused_data
    return out, True


def varint(data, at):
    """(value, where it ends); IndexError: it is cut."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def frames(data):
    """The frames of a file's bytes."""
    at = 0
    while at < len(data):
        try:
            length, at = varint(data, at)
        except IndexError:
            raise ValueError("a length is cut off") from None
        if at + length > len(data):
            raise ValueError("a frame is cut off")
        yield data[at : at + length]
        at += length


def fields(message):
    """{number: value}: numbers, bytes, doubles; of a repeated field the last one."""
    values, at = {}, 0
    while at < len(message):
        tag, at = varint(message, at)
        if tag & 7 == 0:
            value, at = varint(message, at)
        elif tag & 7 == 1:
            (value,), at = struct.unpack_from("<d", message, at), at + 8
        elif tag & 7 == 2:
            length, at = varint(message, at)
            value, at = message[at : at + length], at + length
        else:
            raise ValueError(f"wire type {tag & 7}")
        if at > len(message):
            raise ValueError("a field is cut off")
        values[tag >> 3] = value
    return values
