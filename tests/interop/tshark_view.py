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
ipv6.src ipv6.dst ipv6.nxt ipv6.opt.mipv6.home_address _ws.col.Destination
ipv6.fraghdr.ident ipv6.fraghdr.more ipv6.fraghdr.offset ipv6.fraghdr.nxt
tcp.srcport tcp.dstport tcp.stream tcp.hdr_len tcp.urgent_pointer tcp.len
udp.srcport udp.dstport udp.length
tcp.analysis.ack_rtt tcp.analysis.acks_frame tcp.analysis.retransmission tcp.analysis.out_of_order tcp.analysis.keep_alive
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

# Layers that flowlane looks through; IP inside anything else belongs to the flow of the header outside.
TUNNELS = frozenset(
    "eth ethertype vlan ieee8021ad ieee8021ah llc mpls pwethheuristic pwethcw pwethnocw pppoes ppp gre erspan vxlan geneve gtp "
    "teredo sll null loop raw ipv6.hopopts ipv6.routing ipv6.dstopts ipv6.fraghdr mipv6 ah".split()
)
UDP_TUNNELS = frozenset("vxlan geneve gtp teredo ip ipv6".split())  # what of them may follow UDP; IP at once: VXLAN-GPE
FRAGMENT_TIMEOUT_NS = 30 * 10**9  # flowlane forgets first fragments after that
PROTO_NONE = 59
L4 = ("tcp", "udp")
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
        self.ip_frames = 0  # with an IP header that flowlane takes
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


class _Layer(NamedTuple):
    """An IP header that flowlane would take, with what it found behind it."""

    header: _Header
    proto: str  # "tcp", "udp", None
    ports: tuple  # () without an L4 header: later fragments, other protocols


class Walk(NamedTuple):
    chain: tuple  # of _Layer, the outermost first; the last is the one whose flow the frame belongs to
    problem: str  # why there is none, or why a further one was not taken


def _l4_whole(layer, cursor):
    """The ports, or None if the header is not whole: flowlane does not count such a packet."""
    if layer == "udp":
        values = cursor.take("udp", "udp.srcport", "udp.dstport", "udp.length")
        return tuple(values[:2]) if values else None
    values = cursor.take("tcp", "tcp.srcport", "tcp.dstport", "tcp.hdr_len", "tcp.urgent_pointer")
    return tuple(values[:2]) if values and int(values[2]) >= 20 else None


def walk(row):
    """From the outermost header to the innermost good one that flowlane opens."""
    cursor = _Cursor(row)
    chain, current = (), None
    before = None
    for layer in row["frame.protocols"].split(":"):
        if before == "udp" and layer not in UDP_TUNNELS:
            break
        before = layer
        if layer in ("ip", "ipv6"):
            if current:
                chain += (current,)
            header = _next_ipv4(cursor) if layer == "ip" else _next_ipv6(cursor)
            if header is None:
                return Walk(chain, "broken IP header")
            current = _Layer(header, None, ())
        elif layer == "ipv6.fraghdr":
            header = _with_fragment(current.header, cursor)
            if header is None:
                return Walk(chain, "broken fragment header")
            current = current._replace(header=header)
        elif layer == "ipv6.routing" and row["_ws.col.Destination"]:
            header = current.header._replace(destination=row["_ws.col.Destination"])  # the last stop of the route
            current = current._replace(header=header)
        elif layer == "ipv6.dstopts" and row["ipv6.opt.mipv6.home_address"]:
            header = current.header._replace(source=row["ipv6.opt.mipv6.home_address"])
            current = current._replace(header=header)
        elif layer in L4 and current:
            ports = _l4_whole(layer, cursor)
            if ports is None and not current.header.more:
                return Walk(chain, f"{layer} header not whole")
            current = current._replace(proto=layer, ports=ports or ())
            if layer == "tcp":
                break
        elif layer not in TUNNELS:
            break
    if current is None or (chain and current.header.proto == PROTO_NONE):
        return Walk(chain, None)  # a Teredo bubble, for one
    return Walk((*chain, current), None)


class _Fragments:
    """Later fragments belong to the conversation of their first fragment, if that came before them."""

    def __init__(self):
        self.first = {}

    @staticmethod
    def _ident(header):
        return (header.version, header.source, header.destination, header.ident, header.proto if header.version == 4 else 0)

    def remember(self, chain, found, now):
        """Each header of the chain may be a first fragment: of the packet, or of the tunnel around it."""
        for layer in chain:
            if layer.header.more and layer.header.offset == 0:
                self.first[self._ident(layer.header)] = (found, now)

    def find(self, header, now):
        found, seen = self.first.get(self._ident(header), (None, 0))
        return found if found and abs(now - seen) <= FRAGMENT_TIMEOUT_NS else None


def nanoseconds(text):
    """"12.000345" -> 12000345000"""
    whole, _, fraction = text.partition(".")
    value = int(whole or "0") * 10**9 + int(fraction.ljust(9, "0"))
    return -value if text.startswith("-0") else value


def _conversation_of(row, view, fragments, now):
    """((key, direction), whether the TCP or UDP header is in this frame), or (None, False)."""
    chain, problem = walk(row)
    if problem:
        view.left_out[problem] += 1
    if not chain:
        return None, False
    header, proto, ports = chain[-1]
    found = fragments.find(header, now) if header.offset else None
    if found is None:
        proto = proto or IP_PROTO.get(header.proto)
        source, destination = ports or (0, 0)
        found = make_key(proto, endpoint(header.source, source), endpoint(header.destination, destination))
    fragments.remember(chain, found, now)
    return found, bool(ports)


def _add_tcp(conversation, row, now):
    conversation.streams.add(row["tcp.stream"].split(",")[0])
    # "fast" and "spurious" retransmissions are marked as plain ones as well.
    conversation.retransmissions += bool(row["tcp.analysis.retransmission"])
    conversation.out_of_order += bool(row["tcp.analysis.out_of_order"])
    if row["tcp.analysis.acks_frame"]:
        # An RTT of 0 (equal time stamps) is no field of its own in tshark's tree, but the acknowledged frame is.
        conversation.ack_rtts.append((now, nanoseconds(row["tcp.analysis.ack_rtt"].split(",")[0] or "0")))


def _add_frame(view, row, fragments):
    wire_len = int(row["frame.len"])
    now = nanoseconds(row["frame.time_epoch"])
    view.frames += 1
    view.bytes += wire_len
    found, has_l4 = _conversation_of(row, view, fragments, now)
    view.ip_frames += found is not None
    if found is None or found[0].proto not in L4:
        return
    key, direction = found
    conversation = view.conversations.setdefault(key, Conversation())
    conversation.packets[direction] += 1
    conversation.bytes[direction] += wire_len
    if not has_l4:
        return
    if key.proto == "tcp":
        _add_tcp(conversation, row, now)
    elif row["dns.time"]:
        conversation.dns_times.append((now, nanoseconds(row["dns.time"].split(",")[0])))


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
    # A folder that is not there as the user's settings: with preferences of his own tshark might say something else.
    env = dict(os.environ, WIRESHARK_CONFIG_DIR=os.path.join(os.sep, "nonexistent"), LC_ALL="C.UTF-8", TZ="UTC")
    run = subprocess.run([*COMMAND, "-r", path], capture_output=True, timeout=300, env=env)
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
