"""Reads pcap, pcapng and gzip'ed captures with nothing but the standard library.

It is deliberately a second opinion: it shares no code with flowlane, libpcap or Wireshark, and the corpus checks use it to
compare a written pcap with its input packet for packet.

    capture = read_capture(path)
    for packet in capture.packets: packet.ts_ns, packet.wire_len, packet.data, packet.link, packet.offset

Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""

import gzip
import struct
from typing import NamedTuple

PCAP_MAGIC_US = 0xA1B2C3D4
PCAP_MAGIC_NS = 0xA1B23C4D
PCAP_MAGIC_PATCHED = 0xA1B2CD34  # records have 24-byte headers; libpcap reads it, and so does tshark
PCAPNG_SHB = 0x0A0D0D0A
PCAPNG_BYTE_ORDER = 0x1A2B3C4D


class CaptureError(Exception):
    """The file is not a capture that this module reads."""


class Packet(NamedTuple):
    ts_ns: int
    wire_len: int
    data: bytes
    link: int
    offset: int  # of the data in the (unpacked) file


class Capture(NamedTuple):
    kind: str  # "pcap", "pcapng"
    nanoseconds: bool
    snaplen: int
    links: tuple  # LINKTYPE_ numbers in order of appearance
    packets: list
    truncated: bool  # the file ends inside a record


def read_capture(path):
    with open(path, "rb") as f:
        data = f.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if len(data) < 24:
        raise CaptureError(f"{len(data)} bytes are too short for a capture")
    for order in "<>":
        magic = struct.unpack_from(order + "I", data)[0]
        if magic in (PCAP_MAGIC_US, PCAP_MAGIC_NS, PCAP_MAGIC_PATCHED):
            return _read_pcap(data, order, magic)
    if struct.unpack_from("<I", data)[0] == PCAPNG_SHB:
        return _read_pcapng(data)
    raise CaptureError(f"unknown magic {data[:4].hex()}")


def _read_pcap(data, order, magic):
    _, _, _, _, snaplen, link = struct.unpack_from(order + "HHiIII", data, 4)
    link &= 0x03FFFFFF  # the upper bits: FCS length and flags
    nanoseconds = magic == PCAP_MAGIC_NS
    unit = 1 if nanoseconds else 1000
    header = struct.Struct(order + "IIII")
    header_bytes = 24 if magic == PCAP_MAGIC_PATCHED else 16
    packets = []
    at = 24
    while at + header_bytes <= len(data):
        seconds, fraction, cap_len, wire_len = header.unpack_from(data, at)
        end = at + header_bytes + cap_len
        if end > len(data):
            break
        packets.append(Packet(seconds * 10**9 + fraction * unit, wire_len, data[at + header_bytes : end], link, at + header_bytes))
        at = end
    return Capture("pcap", nanoseconds, snaplen, (link,), packets, at != len(data))


def _options(body, order):
    """Yields (code, value) of a pcapng option list; stops at its end or at the first broken one."""
    at = 0
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        if code == 0 or at + 4 + length > len(body):
            return
        yield code, body[at + 4 : at + 4 + length]
        at += 4 + (length + 3 & ~3)


class _Interface(NamedTuple):
    link: int
    snaplen: int
    units_per_second: int
    offset_ns: int

    def ns(self, ticks):
        return ticks * 10**9 // self.units_per_second + self.offset_ns


def _read_interface(body, order):
    link, _, snaplen = struct.unpack_from(order + "HHI", body)
    units = 10**6
    offset = 0
    for code, value in _options(body[8:], order):
        if code == 9 and value:  # if_tsresol
            units = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == 14 and len(value) == 8:  # if_tsoffset
            offset = struct.unpack(order + "q", value)[0] * 10**9
    return _Interface(link, snaplen, units, offset)


def _read_pcapng(data):
    order = "<"
    interfaces, seen, packets = [], [], []
    at = 0
    while at + 12 <= len(data):
        if struct.unpack_from("<I", data, at)[0] == PCAPNG_SHB:
            order = "<" if struct.unpack_from("<I", data, at + 8)[0] == PCAPNG_BYTE_ORDER else ">"
            interfaces = []
        kind, length = struct.unpack_from(order + "II", data, at)
        if length < 12 or at + length > len(data):
            break
        body = data[at + 8 : at + length - 4]
        start = at + 8
        at += length + 3 & ~3
        if kind == 1:
            interfaces.append(_read_interface(body, order))
            seen.append(interfaces[-1])
            continue
        if kind == 6:  # enhanced packet
            which, high, low, cap_len, wire_len = struct.unpack_from(order + "IIIII", body)
            skip = 20
        elif kind == 2:  # packet (obsolete)
            which, _, high, low, cap_len, wire_len = struct.unpack_from(order + "HHIIII", body)
            skip = 20
        elif kind == 3:  # simple packet: no time
            which, high, low = 0, 0, 0
            wire_len = struct.unpack_from(order + "I", body)[0]
            cap_len = min(wire_len, interfaces[0].snaplen or wire_len) if interfaces else wire_len
            skip = 4
        else:
            continue
        payload = body[skip : skip + cap_len]
        if which >= len(interfaces) or len(payload) != cap_len:
            break
        interface = interfaces[which]
        packets.append(Packet(interface.ns(high << 32 | low), wire_len, payload, interface.link, start + skip))
    links = tuple(dict.fromkeys(i.link for i in seen))
    return Capture(
        "pcapng",
        any(i.units_per_second > 10**6 for i in seen),
        max((i.snaplen for i in seen), default=0),
        links,
        packets,
        at != len(data),
    )
