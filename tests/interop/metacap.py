"""What a packet index of a capture must hold, computed from the capture with nothing but the standard library.

A second opinion: it shares no code with flowlane. It decodes link layers, VLAN tags, MPLS, PPPoE and the first IP header; where that
carries a tunnel it says so, and what is computed is what flowlane does with --outer.

    families = expected(read_capture(path), idle_ms, active_ms)
    families.flows, families.packets: {key: value}, bytes as in the database
"""

import struct
from typing import NamedTuple

VLAN_TYPES = (0x8100, 0x88A8, 0x9100, 0x9200)
PORTS = {6: 20, 17: 8, 33: 12, 132: 12, 136: 8}  # protocols with ports, and the bytes of their headers that must be there
TUNNEL_PROTOCOLS = (4, 41, 47, 55, 94, 97, 98, 115, 137)
TUNNEL_PORTS = (2152, 3544, 4789, 4790, 6081, 8472)
EXTENSIONS = (0, 43, 44, 51, 60, 135, 139, 140)


class Families(NamedTuple):
    flows: dict
    packets: dict
    tunnels: bool  # some packet may hold another one


class NotIp(Exception):
    """The frame belongs to no flow."""


class View(NamedTuple):
    """What the index says of a frame."""

    key: bytes
    network: tuple
    transport: tuple
    payload: tuple
    tunnel: bool


class Walk:
    """A frame, and where its bytes end: as captured, and as the headers so far say."""

    def __init__(self, packet):
        self.data = packet.data
        self.at = 0
        self.cap = len(packet.data)
        self.end = max(packet.wire_len, self.cap)
        self.frames = 0  # flowlane stops behind 16 headers

    def clamp(self, count):
        self.end = min(self.end, self.at + count)
        self.cap = min(self.cap, self.end)

    def need(self, count):
        if self.at + count > self.cap:
            raise NotIp
        return self.data[self.at : self.at + count]

    def left(self):
        return max(self.cap - self.at, 0)

    def be16(self, offset):
        return int.from_bytes(self.data[self.at + offset : self.at + offset + 2], "big")


def _by_type(walk, kind):
    if kind in VLAN_TYPES:
        walk.need(4)
        kind = walk.be16(2)
        walk.at += 4
        return _type_or_length(walk, kind)
    if kind in (0x8847, 0x8848):
        return _mpls(walk)
    if kind == 0x8864:
        head = walk.need(6)
        if head[1] != 0:
            raise NotIp
        count = walk.be16(4)
        walk.at += 6
        walk.clamp(count)
        return _ppp(walk)
    if kind == 0x880B:
        return _ppp(walk)
    if kind == 0x6558:
        return _ethernet(walk)
    if kind == 0x88E7:  # 802.1ah
        walk.need(4)
        walk.at += 4
        return _ethernet(walk)
    if kind == 0x0800:
        return _ipv4(walk)
    if kind == 0x86DD:
        return _ipv6(walk)
    raise NotIp


def _ppp(walk):
    at = 2 if walk.left() >= 2 and walk.be16(0) == 0xFF03 else 0
    head = walk.need(at + 1)
    protocol = head[at]
    at += 1
    if not protocol & 1:
        protocol = protocol << 8 | walk.need(at + 1)[at]
        at += 1
    walk.at += at
    if protocol == 0x0021:
        return _ipv4(walk)
    if protocol == 0x0057:
        return _ipv6(walk)
    if protocol == 0x0281:
        return _mpls(walk)
    raise NotIp


def _is_ethernet(walk, ahead):
    at = walk.at + ahead
    if at + 14 > walk.cap:
        return False
    kind = int.from_bytes(walk.data[at + 12 : at + 14], "big")
    known = (0x0800, 0x86DD, 0x0806, 0x8035, 0x8100, 0x88A8, 0x9100, 0x8847, 0x8863, 0x8864)
    return kind in known or 3 <= kind <= walk.end - at - 14


def _mpls(walk):
    for _ in range(16):
        label = int.from_bytes(walk.need(4), "big")
        walk.at += 4
        if label & 0x100:
            break
    else:
        raise NotIp
    nibble = walk.need(1)[0] >> 4
    ethernet = _is_ethernet(walk, 0)
    if nibble == 4:
        header = (walk.data[walk.at] & 15) * 4
        total = walk.be16(2)
        if walk.left() < 20 or (header >= 20 and (total == 0 or total >= header)) or not ethernet:
            return _ipv4(walk)
    if nibble == 6 and not (ethernet and walk.end - walk.at < 40):
        return _ipv6(walk)
    if nibble == 0 and (_is_ethernet(walk, 4) or not ethernet):
        walk.need(4)
        walk.at += 4
        return _ethernet(walk)
    if ethernet:
        return _ethernet(walk)
    raise NotIp


def _llc(walk):
    head = walk.data[walk.at : min(walk.at + 8, walk.cap)]
    if head[:3] == b"\x06\x06\x03":
        walk.at += 3
        return _ipv4(walk)
    if len(head) < 8 or head[:6] not in (b"\xaa\xaa\x03\0\0\0", b"\xaa\xaa\x03\0\0\xf8") or walk.be16(6) <= 1500:
        raise NotIp
    walk.at += 8
    return _by_type(walk, int.from_bytes(head[6:8], "big"))


def _type_or_length(walk, kind):
    if kind > 1500:
        return _by_type(walk, kind)
    walk.clamp(kind)
    return _llc(walk)


def _ethernet(walk):
    walk.frames += 1
    if walk.frames > 16:
        raise NotIp
    walk.need(14)
    kind = walk.be16(12)
    walk.at += 14
    return _type_or_length(walk, kind)


def _family(walk, big):
    head = walk.need(4)
    family = int.from_bytes(head, "big")
    if not big and family > 0xFFFF:
        family = int.from_bytes(head, "little")
    walk.at += 4
    if family == 2 or head[2:] == b"\x08\x00":
        return _ipv4(walk)
    if family in (10, 24, 28, 30) or head[2:] == b"\x86\xdd":
        return _ipv6(walk)
    raise NotIp


def _cooked(walk, header, at):
    walk.need(header)
    kind = walk.be16(at)
    walk.at += header
    if kind == 4:
        return _llc(walk)
    if kind <= 1500:
        raise NotIp
    return _by_type(walk, kind)


def _link(walk, link):
    if link == 1:
        return _ethernet(walk)
    if link in (12, 14, 101):
        return _ipv6(walk) if walk.need(1)[0] >> 4 == 6 else _ipv4(walk)
    if link == 228:
        return _ipv4(walk)
    if link == 229:
        return _ipv6(walk)
    if link == 113:
        return _cooked(walk, 16, 14)
    if link == 276:
        return _cooked(walk, 20, 0)
    if link in (0, 108):
        return _family(walk, link == 108)
    raise NotIp


class Ip:
    def __init__(self, walk, family, source, destination, protocol):
        self.start = walk.at
        self.family, self.source, self.destination, self.protocol = family, source, destination, protocol


def _ipv4(walk):
    head = walk.need(1)
    header = (head[0] & 15) * 4
    if head[0] >> 4 != 4 or header < 20:
        raise NotIp
    walk.need(20)
    if header > walk.end - walk.at:
        raise NotIp
    head = walk.need(header)
    total = walk.be16(2)
    if total and total < header:
        raise NotIp
    fragment = walk.be16(6)
    ip = Ip(walk, 1, head[12:16], head[16:20], head[9])
    if total:
        walk.clamp(total)
    walk.at += header
    if fragment & 0x1FFF:
        return _view(walk, ip, later=True)
    if ip.protocol == 51:
        count = _authentication(walk)
        if count:
            ip.protocol = walk.data[walk.at]
            walk.at += count
    return _transport(walk, ip, bool(fragment & 0x2000))


def _authentication(walk):
    if walk.left() < 8:
        return 0
    count = (walk.data[walk.at + 1] + 2) * 4
    return count if 8 <= count <= walk.left() else 0


def _home_address(ip, header):
    at = 2
    while at + 1 < len(header):
        if header[at] == 0:
            at += 1
            continue
        if header[at] == 0xC9 and header[at + 1] == 16 and at + 18 <= len(header):
            ip.source = header[at + 2 : at + 18]
        at += 2 + header[at + 1]


def _ipv6(walk):
    if walk.need(1)[0] >> 4 != 6:
        raise NotIp
    head = walk.need(40)
    ip = Ip(walk, 2, head[8:24], head[24:40], head[6])
    length = walk.be16(4)
    walk.at += 40
    if length or ip.protocol != 0:
        walk.clamp(length)
    fragment = False
    for count in range(100):
        if ip.protocol not in EXTENSIONS:
            break
        if count == 8:
            raise NotIp
        kind = ip.protocol
        if kind == 51:
            size = _authentication(walk)
        else:
            size = 0 if walk.left() < 8 else 8 if kind == 44 else (walk.data[walk.at + 1] + 1) * 8
            size = size if size <= walk.left() else 0
        if not size and fragment:
            break
        header = walk.need(size or walk.left() + 1)
        ip.protocol = header[0]
        walk.at += size
        if kind == 43 and header[3] and size >= 24:  # on its way through a source route: the last hop is the destination
            if header[2] == 0:
                last = 8 + (size - 24) // 16 * 16
                ip.destination = header[last : last + 16]
            elif header[2] in (2, 4):
                ip.destination = header[8:24]
        elif kind == 60:
            _home_address(ip, header)
        elif kind == 44 and int.from_bytes(header[2:4], "big") & 0xFFF8:
            return _view(walk, ip, later=True)
        elif kind == 44 and header[3] & 1:
            fragment = True
    return _transport(walk, ip, fragment)


def _header_bytes(walk, protocol):
    """Of the transport header; NotIp: it is not whole, or impossible."""
    fixed = PORTS[protocol]
    head = walk.need(fixed)
    if protocol == 6:
        count = (head[12] >> 4) * 4
    elif protocol == 33:
        count = head[4] * 4
    else:
        return fixed
    if count < fixed or count > walk.end - walk.at:
        raise NotIp
    return count


def _transport(walk, ip, fragment):
    try:
        if ip.protocol in PORTS:
            return _view(walk, ip, header=_header_bytes(walk, ip.protocol))
        if ip.protocol in (1, 58):
            walk.need(8)
    except NotIp:
        if not fragment:
            raise
        return _view(walk, ip, later=True)
    return _view(walk, ip)


def _view(walk, ip, header=None, later=False):
    tunnel = not later and ip.protocol in TUNNEL_PROTOCOLS
    ports = (0, 0)
    end = max(min(walk.end, len(walk.data)), ip.start)
    transport = payload = (0, 0)
    if header is not None:
        ports = walk.be16(0), walk.be16(2)
        behind = min(walk.at + header, end)
        transport, payload = (walk.at, end - walk.at), (behind, end - behind)
        tunnel = ip.protocol == 17 and (ports[0] in TUNNEL_PORTS or ports[1] in TUNNEL_PORTS)
    key = struct.pack("<H16s16sHHH", ip.protocol, ip.source, ip.destination, *ports, ip.family)
    return View(key, (ip.start, end - ip.start), transport, payload, tunnel)


def view(packet):
    """None: no flow."""
    walk = Walk(packet)
    try:
        return _link(walk, packet.link)
    except NotIp:
        return None


class _Flow:
    def __init__(self):
        self.octets = self.blocks = 0
        self.first, self.last, self.piece = None, None, None
        self.items = []

    def add(self, number, packet, seen, idle_ms, active_ms):
        # flowlane's nanoseconds have 64 bits; of made-up times that have more, the lower 32 bits of the seconds count, as in a pcap file.
        ms = (packet.ts_ns if packet.ts_ns < 2**64 else packet.ts_ns % (10**9 << 32)) // 10**6
        if self.first is None:
            self.first = self.last = self.piece = ms
            self.blocks = 1
        elif ms - self.last > idle_ms or ms - self.piece > active_ms:
            self.blocks += 1
            self.piece = ms
        self.first, self.last = min(self.first, ms), max(self.last, ms)
        self.octets += len(packet.data)
        ranges = (0, len(packet.data)) + seen.network + seen.transport + seen.payload
        self.items.append(struct.pack("<IIQQ8i", number, len(packet.data), packet.offset, ms, *ranges))


def expected(capture, idle_ms=60000, active_ms=300000):
    flows, tunnels = {}, False
    for number, packet in enumerate(capture.packets, 1):
        seen = view(packet)
        if seen is None:
            continue
        tunnels |= seen.tunnel
        flows.setdefault(seen.key, _Flow()).add(number, packet, seen, idle_ms, active_ms)
    return Families(
        {k: struct.pack("<QIQQIII", f.octets, len(f.items), f.first, f.last, f.blocks, 0, 0) for k, f in flows.items()},
        {k: struct.pack("<i", len(f.items)) + b"".join(f.items) for k, f in flows.items()},
        tunnels,
    )
