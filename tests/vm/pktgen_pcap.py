"""Reads a pcap of packets that the kernel's pktgen sent: each holds its number and the time at which it was sent."""
import struct
from dataclasses import dataclass

PKTGEN_MAGIC = 0xBE9BE955
UDP_PAYLOAD = 42  # Ethernet, IPv4 without options, UDP


@dataclass
class Packet:
    ts_ns: int  # by the capture
    sent_ns: int  # by pktgen, whole microseconds
    number: int  # counts up in each stream
    stream: bool  # which of two: whether the lower address sent it
    flow: bytes  # addresses and ports
    cap_len: int
    wire_len: int


def read_pktgen_pcap(path, may_be_cut=False):
    """All packets in file order, up to where it is cut if it may be. ValueError: not a pcap, one cut inside a record, or a packet that
    pktgen did not send."""
    data = path.read_bytes()
    units = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
    if len(data) < 24 or (magic := struct.unpack_from("<I", data)[0]) not in units:
        raise ValueError("no pcap header")
    packets, at = [], 24
    while at < len(data):
        header = struct.unpack_from("<IIII", data, at) if at + 16 <= len(data) else None
        if not header or at + 16 + header[2] > len(data):
            if may_be_cut:
                break
            raise ValueError(f"cut inside record {len(packets)}")
        seconds, fraction, cap_len, wire_len = header
        at += 16
        frame = data[at:at + cap_len]
        at += cap_len
        if cap_len < UDP_PAYLOAD + 16:
            raise ValueError(f"record {len(packets)} has {cap_len} bytes, too few for a packet of pktgen")
        magic_number, number, sent_s, sent_us = struct.unpack_from(">IIII", frame, UDP_PAYLOAD)
        if magic_number != PKTGEN_MAGIC:
            raise ValueError(f"record {len(packets)} is no packet of pktgen")
        packets.append(Packet(seconds * 10**9 + fraction * units[magic], sent_s * 10**9 + sent_us * 1000, number,
                              frame[26:30] < frame[30:34], frame[26:38], cap_len, wire_len))
    return packets
