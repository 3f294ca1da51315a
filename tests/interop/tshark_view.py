"""What tshark says about a capture, as conversations that can be compared with flowlane's flow records.

tshark runs once per file, in a single pass and without any reassembly. Its answer is one line of fields per frame; a field that
occurs in several headers of one frame (tunnels) is a comma-separated list in header order, and `frame.protocols` says which
headers there were. walk() follows both from the outside in, and stops where flowlane stops by design: at a protocol that
quotes packets instead of carrying them (ICMP errors, sFlow, ...), or at an encapsulation that flowlane does not open.
"""

import hashlib
import ipaddress
import os
import subprocess
import tempfile
from collections import Counter
from typing import NamedTuple

FIELDS = """
frame.time_epoch frame.len frame.cap_len frame.protocols
ip.src ip.dst ip.proto ip.id ip.flags.mf ip.frag_offset
ipv6.src ipv6.dst ipv6.nxt ipv6.fraghdr.ident ipv6.fraghdr.more ipv6.fraghdr.offset ipv6.fraghdr.nxt
tcp.srcport tcp.dstport tcp.stream tcp.hdr_len tcp.urgent_pointer tcp.len
udp.srcport udp.dstport udp.length udp.checksum
tcp.analysis.ack_rtt tcp.analysis.retransmission tcp.analysis.out_of_order tcp.analysis.keep_alive
dns.time icmp.resptime
""".split()

COMMAND = [
    "tshark", "-n",
    "-o", "tcp.desegment_tcp_streams:FALSE",
    "-o", "ip.defragment:FALSE",
    "-o", "ipv6.defragment:FALSE",
    "-o", "tcp.analyze_sequence_numbers:TRUE",
    "-o", "tcp.calculate_timestamps:TRUE",
    "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t",
]  # fmt: skip
for _field in FIELDS:
    COMMAND += ["-e", _field]

# Encapsulations that flowlane opens; IP inside anything else belongs to the flow of the header outside.
TUNNELS = frozenset(
    "eth ethertype vlan ieee8021ad mpls pppoes ppp gre erspan vxlan geneve gtp teredo sll null loop raw "
    "ipv6.hopopts ipv6.routing ipv6.dstopts ipv6.fraghdr ah".split()
)
L4 = {"tcp": "tcp", "udp": "udp"}
IP_PROTO = {6: "tcp", 17: "udp"}


class Endpoint(NamedTuple):
    """Ordered as flowlane orders A and B: IP version, address bytes, port."""

    version: int
    address: bytes
    port: int

    def __str__(self):
        text = str(ipaddress.ip_address(self.address))
        return f"[{text}]:{self.port}" if self.version == 6 else f"{text}:{self.port}"


def endpoint(text, port):
    address = ipaddress.ip_address(text)
    return Endpoint(address.version, address.packed, int(port))


class Key(NamedTuple):
    proto: str
    a: Endpoint
    b: Endpoint

    def __str__(self):
        return f"{self.proto} {self.a} - {self.b}"


def make_key(proto, source, destination):
    """The canonical key, and the direction of a packet from source: 0 = a to b."""
    if source <= destination:
        return Key(proto, source, destination), 0
    return Key(proto, destination, source), 1


class Conversation:
    """One 5-tuple, as tshark's frames add up."""

    __slots__ = ("packets", "bytes", "streams", "ack_rtts", "retransmissions", "out_of_order", "dns_times")

    def __init__(self):
        self.packets = [0, 0]
        self.bytes = [0, 0]
        self.streams = set()
        self.ack_rtts = []  # (time of the acknowledging frame, RTT), both in ns
        self.retransmissions = 0
        self.out_of_order = 0
        self.dns_times = []


class View:
    def __init__(self):
        self.error = None  # why tshark did not read the file whole
        self.frames = 0
        self.bytes = 0
        self.conversations = {}
        self.left_out = Counter()  # frames with TCP or UDP that no conversation gets: reason -> frames


class _Header(NamedTuple):
    """An IP header on the way to the innermost one."""

    version: int
    source: str
    destination: str
    proto: int
    ident: str
    more: bool
    offset: int


def _flag(text):
    return text in ("1", "True")


class _Cursor:
    """Takes the values of each field of one frame in header order."""

    def __init__(self, row):
        self.row = row
        self.next = Counter()

    def take(self, layer, *fields):
        at = self.next[layer]
        self.next[layer] += 1
        values = []
        for field in fields:
            parts = self.row[field].split(",") if self.row[field] else []
            if at >= len(parts):
                return None
            values.append(parts[at])
        return values


def _next_ipv4(cursor):
    values = cursor.take("ip", "ip.src", "ip.dst", "ip.proto", "ip.id", "ip.flags.mf", "ip.frag_offset")
    if not values:
        return None
    source, destination, proto, ident, more, offset = values
    return _Header(4, source, destination, int(proto), ident, _flag(more), int(offset, 0))


def _next_ipv6(cursor):
    values = cursor.take("ipv6", "ipv6.src", "ipv6.dst", "ipv6.nxt")
    if not values:
        return None
    return _Header(6, values[0], values[1], int(values[2]), "", False, 0)


def _with_fragment(header, cursor):
    fields = ("ipv6.fraghdr.ident", "ipv6.fraghdr.more", "ipv6.fraghdr.offset", "ipv6.fraghdr.nxt")
    values = cursor.take("ipv6.fraghdr", *fields)
    if not values or header is None:
        return None
    ident, more, offset, proto = values
    return header._replace(ident=ident, more=_flag(more), offset=int(offset, 0), proto=int(proto))


class _Walk(NamedTuple):
    proto: str  # "tcp", "udp", or None: the innermost header that flowlane opens is something else
    header: object  # the innermost IP header, or None
    ports: tuple
    outer: tuple  # IP headers outside of it
    problem: str  # or why flowlane cannot count the frame


def walk(row):
    """From the outermost header to the innermost one that flowlane opens."""
    cursor = _Cursor(row)
    header, proto, ports, outer, problem = None, None, (), (), None
    for layer in row["frame.protocols"].split(":"):
        if layer in ("ip", "ipv6"):
            inner = _next_ipv4(cursor) if layer == "ip" else _next_ipv6(cursor)
            if inner is None:
                return _Walk(None, None, (), outer, "broken IP header")
            if header is not None:
                outer += (header,)
            header, proto, ports = inner, None, ()
        elif layer == "ipv6.fraghdr":
            header = _with_fragment(header, cursor)
            if header is None:
                return _Walk(None, None, (), outer, "broken fragment header")
        elif layer in L4:
            values = cursor.take(layer, f"{layer}.srcport", f"{layer}.dstport")
            last = "tcp.urgent_pointer" if layer == "tcp" else "udp.checksum"
            whole = cursor.take(layer + " end", last)
            proto = L4[layer]
            if not values or not whole:
                problem = f"{layer} header cut off"
                break
            ports = tuple(values)
            if layer == "tcp":
                break
        elif layer not in TUNNELS:
            break
    return _Walk(proto, header, ports, outer, problem)


class _Fragments:
    """Later fragments belong to the conversation of their first fragment, if that came before them."""

    def __init__(self):
        self.first = {}

    def key_of(self, header, proto, key):
        ident = (header.version, header.source, header.destination, header.ident, header.proto)
        if header.offset == 0:
            if header.more and key:
                self.first[ident] = key
            return key
        if ident in self.first:
            return self.first[ident]
        return make_key(proto, endpoint(header.source, 0), endpoint(header.destination, 0))


def _nanoseconds(text):
    whole, _, fraction = text.partition(".")
    value = int(whole or "0") * 10**9 + int(fraction.ljust(9, "0"))
    return -value if text.startswith("-0") else value


def _add_frame(view, row, fragments):
    found = walk(row)
    wire_len = int(row["frame.len"])
    view.frames += 1
    view.bytes += wire_len
    header = found.header
    if found.problem:
        view.left_out[found.problem] += 1
        return
    if header is None:
        return
    proto = found.proto or IP_PROTO.get(header.proto)
    key = None
    if found.ports:
        key = make_key(proto, endpoint(header.source, found.ports[0]), endpoint(header.destination, found.ports[1]))
    if header.ident != "" and (header.more or header.offset):
        key = fragments.key_of(header, proto, key)
    if key is None or key[0].proto not in IP_PROTO.values():
        return
    key, direction = key
    conversation = view.conversations.setdefault(key, Conversation())
    conversation.packets[direction] += 1
    conversation.bytes[direction] += wire_len
    if key.proto == "udp" and row["dns.time"]:
        conversation.dns_times.append(_nanoseconds(row["dns.time"].split(",")[0]))
    if not found.ports or key.proto != "tcp":
        return
    conversation.streams.add(row["tcp.stream"])
    conversation.retransmissions += bool(row["tcp.analysis.retransmission"])
    conversation.out_of_order += bool(row["tcp.analysis.out_of_order"])
    if row["tcp.analysis.ack_rtt"]:
        now = _nanoseconds(row["frame.time_epoch"])
        conversation.ack_rtts.append((now, _nanoseconds(row["tcp.analysis.ack_rtt"].split(",")[0])))


def _cached(path, cache):
    """tshark's output for these very bytes and this very command, from an earlier run."""
    digest = hashlib.sha256("\0".join(COMMAND).encode())
    with open(path, "rb") as f:
        digest.update(f.read())
    return os.path.join(cache, digest.hexdigest() + ".tsv")


def run_tshark(path, cache=None):
    """(lines of fields, None), or (None, reason) if tshark did not read the file whole."""
    entry = _cached(path, cache) if cache else None
    if entry and os.path.exists(entry):
        with open(entry, encoding="utf-8", errors="replace") as f:
            return f.read().splitlines(), None
    run = subprocess.run([*COMMAND, "-r", path], capture_output=True, timeout=300)
    messages = [m for m in run.stderr.decode(errors="replace").splitlines() if m.startswith("tshark:")]
    if run.returncode or any("cut short" in m or "damaged" in m for m in messages):
        return None, " ".join(messages) or f"exit code {run.returncode}"
    text = run.stdout.decode(errors="replace")
    if entry:
        with tempfile.NamedTemporaryFile("w", dir=cache, delete=False, encoding="utf-8") as f:
            f.write(text)
        os.replace(f.name, entry)
    return text.splitlines(), None


def read_view(path, cache=None):
    view = View()
    lines, view.error = run_tshark(path, cache)
    fragments = _Fragments()
    for line in lines or []:
        _add_frame(view, dict(zip(FIELDS, line.split("\t"))), fragments)
    return view
