"""A capture of flows that last: pauses, both directions, every kind of address and protocol. The same for the same seed."""

import random
import struct
from typing import NamedTuple

BASE_SECS = 1700000000
ETHERNET = 1
SNAPLEN = 96


class Packet(NamedTuple):
    ms: int  # UNIX time, milliseconds
    af: int
    prot: int
    src: bytes
    dst: bytes
    sp: int
    dp: int
    octets: int  # IP total length


class Flow(NamedTuple):
    v6: bool
    prot: int
    a: bytes
    b: bytes
    a_port: int
    b_port: int
    gap_secs: float
    start_secs: float
    duration_secs: float
    vlan: int


def make_flow(rng):
    v6 = rng.random() < 0.2
    prot = rng.choice([6, 6, 17, 17, 58 if v6 else 1, 132, 50])
    size = 16 if v6 else 4
    return Flow(
        v6,
        prot,
        bytes(rng.randrange(1, 250) for _ in range(size)),
        bytes(rng.randrange(1, 250) for _ in range(size)),
        rng.randrange(1024, 65535) if prot in (6, 17, 132) else 0,
        rng.choice([80, 443, 8080, 5060]) if prot in (6, 17, 132) else 0,
        rng.choice([0.2, 3, 20, 50, 70]),
        rng.uniform(0, 2500),
        rng.uniform(1, 2500),
        rng.choice([0, 0, 0, 7, 100]),
    )


def l4_bytes(flow, reverse, payload):
    sp, dp = (flow.b_port, flow.a_port) if reverse else (flow.a_port, flow.b_port)
    if flow.prot == 6:
        return struct.pack(">HHIIBBHHH", sp, dp, 1, 1, 0x50, 0x18, 1000, 0, 0)
    if flow.prot == 17:
        return struct.pack(">HHHH", sp, dp, 8 + payload, 0)
    if flow.prot == 132:
        return struct.pack(">HHII", sp, dp, 0, 0)
    if flow.prot in (1, 58):
        echo = {1: (8, 0), 58: (128, 129)}[flow.prot][reverse]
        return struct.pack(">BBHHH", echo, 0, 0, 77, 1)
    return struct.pack(">II", 1, 1)


def make_packet(flow, reverse, ms, payload):
    """The frame, and what is in it."""
    src, dst = (flow.b, flow.a) if reverse else (flow.a, flow.b)
    l4 = l4_bytes(flow, reverse, payload) + bytes(payload)
    if flow.v6:
        header = struct.pack(">IHBB", 0x60000000, len(l4), flow.prot, 64) + src + dst
    else:
        header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(l4), 0, 0, 64, flow.prot, 0) + src + dst
    macs = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"
    ethernet = macs[not reverse] + macs[reverse]
    if flow.vlan:
        ethernet += struct.pack(">HH", 0x8100, flow.vlan)
    frame = ethernet + (b"\x86\xdd" if flow.v6 else b"\x08\0") + header + l4
    sp, dp = struct.unpack(">HH", l4[:4]) if flow.prot in (6, 17, 132) else (0, 0)
    if flow.prot in (1, 58):
        dp = l4[0] * 256
    return frame, Packet(ms, 10 if flow.v6 else 2, flow.prot, src, dst, sp, dp, len(header) + len(l4))


def make_capture(path, packets, seed):
    """Writes the pcap; returns its packets as a reader should see them."""
    rng = random.Random(seed)
    flows = [make_flow(rng) for _ in range(250)]
    events = []
    while len(events) < packets:
        flow = rng.choice(flows)
        secs = flow.start_secs
        for _ in range(1000):
            # Two milliseconds apart at least: so pieces that follow each other differ in their milliseconds.
            events.append((int(secs * 1000), flow, rng.random() < 0.4))
            secs += rng.expovariate(1 / flow.gap_secs) + 0.002
            if secs > flow.start_secs + flow.duration_secs or len(events) == packets:
                break
    events.sort(key=lambda event: event[0])
    seen = []
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, ETHERNET))
        for offset_ms, flow, reverse in events:
            ms = BASE_SECS * 1000 + offset_ms
            frame, packet = make_packet(flow, reverse, ms, rng.randrange(900))
            file.write(struct.pack("<IIII", ms // 1000, ms % 1000 * 1000, min(len(frame), SNAPLEN), len(frame)) + frame[:SNAPLEN])
            seen.append(packet)
    return seen
