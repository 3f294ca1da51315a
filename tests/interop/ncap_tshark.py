"""What tshark says about the headers of a capture, type by type, beside the audit records.

tshark runs once per file, in a single pass and without reassembly. A field that occurs in several headers of a frame is a list in
header order; `frame.protocols` says which headers there were. Headers that another one only quotes (ICMP errors), and those inside what
flowlane does not open, do not count.
"""

import ipaddress
import subprocess
from collections import Counter

PREFERENCES = [
    "tcp.desegment_tcp_streams:FALSE",
    "ip.defragment:FALSE",
    "ipv6.defragment:FALSE",
    "tcp.relative_sequence_numbers:FALSE",
    "ip.use_geoip:FALSE",
    "tls.desegment_ssl_records:FALSE",
]


def number(text):
    return int(text, 0)


def ip(text):
    return str(ipaddress.ip_address(text))


def flags9(text):
    return int(text, 0) & 0x1FF  # the other three are reserved, and records have no fields for them


def flag(text):
    return text in ("1", "True")


def mac(text):
    return text.lower()


# type: (protocol of tshark, [(field, reader)], record -> the same tuple)
LAYERS = {
    "Ethernet": ("eth", [("eth.dst", mac), ("eth.src", mac)], lambda r: (r.DstMAC, r.SrcMAC)),
    "Dot1Q": ("vlan", [("vlan.id", number), ("vlan.priority", number)], lambda r: (r.VLANIdentifier, r.Priority)),
    "MPLS": (
        "mpls",
        [("mpls.label", number), ("mpls.exp", number), ("mpls.bottom", flag), ("mpls.ttl", number)],
        lambda r: (r.Label, r.TrafficClass, r.StackBottom, r.TTL),
    ),
    "ARP": (
        "arp",
        [("arp.hw.type", number), ("arp.proto.type", number), ("arp.opcode", number)],
        lambda r: (r.AddrType, r.Protocol, r.Operation),
    ),
    "IPv4": (
        "ip",
        [("ip.src", ip), ("ip.dst", ip), ("ip.proto", number), ("ip.ttl", number), ("ip.id", number), ("ip.checksum", number)],
        lambda r: (r.SrcIP, r.DstIP, r.Protocol, r.TTL, r.Id, r.Checksum),
    ),
    "IPv6": (
        "ipv6",
        [("ipv6.src", ip), ("ipv6.dst", ip), ("ipv6.nxt", number), ("ipv6.hlim", number), ("ipv6.plen", number), ("ipv6.flow", number)],
        lambda r: (ip(r.SrcIP), ip(r.DstIP), r.NextHeader, r.HopLimit, r.Length, r.FlowLabel),
    ),
    "IPv6Fragment": (
        "ipv6.fraghdr",
        [("ipv6.fraghdr.ident", number), ("ipv6.fraghdr.offset", number), ("ipv6.fraghdr.more", flag)],
        lambda r: (r.Identification, r.FragmentOffset, r.MoreFragments),
    ),
    "ICMPv4": (
        "icmp",
        [("icmp.type", number), ("icmp.code", number), ("icmp.checksum", number)],
        lambda r: (r.TypeCode >> 8, r.TypeCode & 0xFF, r.Checksum),
    ),
    "ICMPv6": (
        "icmpv6",
        [("icmpv6.type", number), ("icmpv6.code", number), ("icmpv6.checksum", number)],
        lambda r: (r.TypeCode >> 8, r.TypeCode & 0xFF, r.Checksum),
    ),
    "IGMP": ("igmp", [("igmp.type", number), ("igmp.checksum", number)], lambda r: (r.Type, r.Checksum)),
    "TCP": (
        "tcp",
        [
            ("tcp.srcport", number), ("tcp.dstport", number), ("tcp.seq_raw", number), ("tcp.ack_raw", number),
            ("tcp.flags", flags9), ("tcp.window_size_value", number), ("tcp.checksum", number), ("tcp.hdr_len", number),
        ],
        lambda r: (
            r.SrcPort, r.DstPort, r.SeqNum, r.AckNum,
            r.FIN | r.SYN << 1 | r.RST << 2 | r.PSH << 3 | r.ACK << 4 | r.URG << 5 | r.ECE << 6 | r.CWR << 7 | r.NS << 8,
            r.Window, r.Checksum, r.DataOffset * 4,
        ),
    ),
    "UDP": (
        "udp",
        [("udp.srcport", number), ("udp.dstport", number), ("udp.length", number), ("udp.checksum", number)],
        lambda r: (r.SrcPort, r.DstPort, r.Length, r.Checksum),
    ),
    "SCTP": (
        "sctp",
        [("sctp.srcport", number), ("sctp.dstport", number), ("sctp.verification_tag", number), ("sctp.checksum", number)],
        lambda r: (r.SrcPort, r.DstPort, r.VerificationTag, r.Checksum),
    ),
    "GRE": ("gre", [("gre.proto", number), ("gre.flags.version", number)], lambda r: (r.Protocol, r.Version)),
    "VXLAN": ("vxlan", [("vxlan.vni", number)], lambda r: (r.VNI,)),
    "Geneve": ("geneve", [("geneve.vni", number), ("geneve.proto_type", number)], lambda r: (r.VNI, r.Protocol)),
    "DNS": (
        "dns",
        [
            ("dns.id", number), ("dns.flags", number), ("dns.count.queries", number), ("dns.count.answers", number),
            ("dns.count.auth_rr", number), ("dns.count.add_rr", number),
        ],
        lambda r: (r.ID, dns_flags(r), r.QDCount, r.ANCount, r.NSCount, r.ARCount),
    ),
    "NTP": (
        "ntp",
        [("ntp.flags.mode", number), ("ntp.flags.vn", number), ("ntp.stratum", number), ("ntp.ppoll", number)],
        lambda r: (r.Mode, r.Version, r.Stratum, r.Poll),
    ),
    "DHCPv4": (
        "dhcp",
        [("dhcp.type", number), ("dhcp.id", number), ("dhcp.ip.your", ip), ("dhcp.hw.type", number)],
        lambda r: (r.Operation, r.Xid, r.YourClientIP, r.HardwareType),
    ),
}  # fmt: skip

# Lists whose members are compared on their own, whatever frame they are in: names have no fixed number per message.
LISTS = {
    "DNS names": ("DNS", "dns.qry.name", lambda r: [q.Name or "<Root>" for q in r.Questions]),
    "SNI": ("TLSClientHello", "tls.handshake.extensions_server_name", lambda r: [r.SNI] if r.SNI else []),
    "JA3": ("TLSClientHello", "tls.handshake.ja3", lambda r: [r.Ja3] if r.Ja3 else []),
    "JA3S": ("TLSServerHello", "tls.handshake.ja3s", lambda r: [r.Ja3s] if r.Ja3s else []),
    "TLSServerHello": ("TLSServerHello", "", lambda r: [r.CipherSuite]),
    "DHCP host names": ("DHCPv4", "dhcp.option.hostname", lambda r: [o.Data for o in r.Options if o.Type == 12]),
}

CARRIERS = frozenset(
    "eth ethertype vlan ieee8021ad ieee8021ah llc mpls pwethheuristic pwethcw pwethnocw pppoes ppp gre erspan vxlan geneve gtp teredo sll null "
    "loop raw ip ipv6 ipv6.hopopts ipv6.routing ipv6.dstopts ipv6.fraghdr mipv6 ah udp".split()
)
LINKS = frozenset("eth sll null loop raw ip ipv6".split())
AFTER_UDP = frozenset("vxlan geneve gtp teredo ip ipv6".split())
EXTRA = ["frame.protocols", "ieee8021ad.id", "ieee8021ad.priority", "tls.handshake.type", "tls.handshake.ciphersuite"]
FIELDS = list(
    dict.fromkeys(
        EXTRA + [field for _, fields, _ in LAYERS.values() for field, _ in fields] + [f for _, f, _ in LISTS.values() if f]
    )
)


def dns_flags(r):
    return (
        r.QR << 15 | r.OpCode << 11 | r.AA << 10 | r.TC << 9 | r.RD << 8 | r.RA << 7 | r.Z << 4 | r.ResponseCode
    )  # fmt: skip


def opened(protocols):
    """How often each protocol occurs in what flowlane opens."""
    counts = Counter()
    before = None
    for protocol in protocols:
        if before == "udp" and protocol in CARRIERS and protocol not in AFTER_UDP:
            break
        counts[protocol] += 1
        before = protocol
        if protocol not in CARRIERS and protocol not in ("tcp", "data"):
            break
    return counts


BETWEEN = "\x01"  # between the values of a field: names may hold any other sign


def run_tshark(path):
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t", "-E", f"aggregator={BETWEEN}"]
    for preference in PREFERENCES:
        command += ["-o", preference]
    for field in FIELDS:
        command += ["-e", field]
    run = subprocess.run(command, capture_output=True, timeout=300)
    lines = run.stdout.decode(errors="replace").splitlines()
    return [dict(zip(FIELDS, line.split("\t"))) for line in lines], run.returncode


def split(text):
    return text.split(BETWEEN) if text else []


def expected(rows):
    """{type: Counter of tuples}, {list: Counter of values}."""
    layers = {kind: Counter() for kind in LAYERS}
    lists = {name: Counter() for name in LISTS}
    for row in rows:
        counts = opened(row["frame.protocols"].split(":"))
        if row["frame.protocols"].split(":")[0] not in LINKS:
            continue  # flowlane does not decode this link type
        if "53" not in split(row["udp.srcport"]) + split(row["udp.dstport"]) + split(row["tcp.srcport"]) + split(row["tcp.dstport"]):
            counts["dns"] = 0  # records are of port 53 only
        counts["vlan"] += counts["ieee8021ad"]
        row["vlan.id"] = BETWEEN.join(filter(None, (row["ieee8021ad.id"], row["vlan.id"])))
        row["vlan.priority"] = BETWEEN.join(filter(None, (row["ieee8021ad.priority"], row["vlan.priority"])))
        for kind, (protocol, fields, _) in LAYERS.items():
            columns = [[reader(text) for text in split(row[field])] for field, reader in fields]
            if kind == "NTP" and columns[0] and columns[0][0] in (6, 7):
                continue  # control and private messages have other fields
            n = min(map(len, columns)) if protocol in ("mpls", "dns") else min(counts[protocol], *map(len, columns))
            if n and (protocol not in ("mpls", "dns") or counts[protocol]):
                layers[kind].update(zip(*(column[:n] for column in columns)))
        hellos = split(row["tls.handshake.type"]) if counts["tcp"] else []  # QUIC and DTLS have hellos, too
        for name, (kind, field, _) in LISTS.items():
            if kind.startswith("TLS") and not hellos:
                continue
            if field and (kind != "DNS" or counts["dns"]):
                lists[name].update(split(row[field]))
            elif not field and "2" in hellos:
                suites = split(row["tls.handshake.ciphersuite"])
                lists[name].update([number(suite) for suite in suites[-1:]])  # SSLv2 has others
    return layers, lists


def difference(ours, theirs):
    more, less = ours - theirs, theirs - ours
    if not more and not less:
        return None
    shown = [f"+{k}" for k in list(more)[:2]] + [f"-{k}" for k in list(less)[:2]]
    return f"{sum(ours.values())} records, tshark {sum(theirs.values())}: {' '.join(map(str, shown))}"


def compare(path, records, module):
    """([(type, how it differs)], Counter of records compared)."""
    rows, _ = run_tshark(path)
    layers, lists = expected(rows)
    mismatches, counts = [], Counter()
    parsed = {}
    for kind in records:
        parsed[kind] = [getattr(module, kind).FromString(record) for record in records[kind]]
    for kind, (_, _, values) in LAYERS.items():
        ours = Counter(values(record) for record in parsed.get(kind, []))
        counts[kind] += sum(ours.values())
        what = difference(ours, layers[kind])
        if what:
            mismatches.append((kind, what))
    for name, (kind, _, values) in LISTS.items():
        ours = Counter(value for record in parsed.get(kind, []) for value in values(record))
        counts[name] += sum(ours.values())
        what = difference(ours, lists[name])
        if what:
            mismatches.append((name, what))
    return mismatches, counts
