#!/usr/bin/env python3
"""Packet streaming judged by an independent gRPC implementation: Debian's python3-grpcio, stubs made here from our .proto, as
server and as client; and by peers of a few lines that speak raw HTTP/2, for what a proper library does not do.

Usage: check_streaming.py FLOWLANE [unittest arguments]. All traffic is on the loopback interface.
"""
import contextlib
import gzip
import importlib.util
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

if importlib.util.find_spec("grpc") is None or importlib.util.find_spec("grpc_tools") is None:
    # Another python than Debian's comes first in the path; Debian's has the packages.
    if sys.executable != "/usr/bin/python3" and os.access("/usr/bin/python3", os.X_OK):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])
    print("SKIPPED: python3-grpcio or python3-grpc-tools is not installed (scripts/deps.sh tests)")
    sys.exit(77)

import grpc
from concurrent import futures

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLOWLANE = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else os.path.join(ROOT, "build", "release", "flowlane")
CORPUS = os.environ.get("FLOWLANE_CORPUS", os.path.join(ROOT, "..", "shared", "corpus"))
SECS = 60
METHOD = "/packet_streaming.PacketStreaming/Run"
GOLDEN = bytes.fromhex("00000000180a0e0888c1c5ad0610c0c4071804203c12060a0401020304")

stubs = tempfile.TemporaryDirectory(prefix="flowlane-stubs-")
subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", os.path.join(ROOT, "userspace", "grpc"), "--python_out", stubs.name,
                "--grpc_python_out", stubs.name, "packet_streaming.proto"], check=True)
sys.path.insert(0, stubs.name)
import packet_streaming_pb2 as pb
import packet_streaming_pb2_grpc as pb_grpc
from google.protobuf import empty_pb2


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def file_header(snaplen=65535, link=1):
    return struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, snaplen, link)


def udp_frame(number, size=64, flow=0):
    """Ethernet, IPv4, UDP: a flow per 16 bits of `flow`."""
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size - 14, number & 0xffff, 0, 64, 17, 0, bytes([10, 0, flow >> 8 & 255, flow & 255]), bytes([10, 1, 0, 1]))
    udp = struct.pack(">HHHH", 1024, 5000, size - 34, 0)
    head = bytes.fromhex("0200000000010200000000020800") + ip + udp
    return head + bytes((number + i) & 255 for i in range(size - len(head)))


def capture_of(frames, snaplen=65535, link=1, wire=None):
    return file_header(snaplen, link) + b"".join(
        struct.pack("<IIII", 1700000000 + i // 1000, i % 1000 * 1000 + 7, len(frame), wire or len(frame)) + frame for i, frame in enumerate(frames))


def packets_of(data):
    at = 24
    while at < len(data):
        secs, usecs, cap_len, wire_len = struct.unpack_from("<IIII", data, at)
        yield pb.Packet(header=pb.PacketHeader(ts_sec=secs, ts_usec=usecs, caplen=cap_len, len=wire_len),
                        data=pb.PacketData(data=data[at + 16:at + 16 + cap_len]))
        at += 16 + cap_len


def record_of(packet):
    header = packet.header
    return struct.pack("<IIII", header.ts_sec, header.ts_usec, header.caplen, header.len) + packet.data.data


class Collector(pb_grpc.PacketStreamingServicer):
    """The python server: keeps what each stream brought."""

    def __init__(self, port, pause=None, credentials=None):
        self.streams, self.metadata, self.done, self.pause = [], [], [], pause
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        pb_grpc.add_PacketStreamingServicer_to_server(self, self.server)
        address = f"127.0.0.1:{port}"
        if (self.server.add_secure_port(address, credentials) if credentials else self.server.add_insecure_port(address)) == 0:
            raise RuntimeError(f"python cannot listen at {address}")
        self.server.start()

    def Run(self, packets, context):
        received = []
        self.streams.append(received)
        self.metadata.append(dict(context.invocation_metadata()))
        for packet in packets:
            received.append(packet)
            if self.pause:
                self.pause(len(received))
        self.done.append(len(received))
        return empty_pb2.Empty()

    def capture(self):
        return file_header() + b"".join(record_of(packet) for packet in self.streams[-1])

    def stop(self):
        self.server.stop(0).wait()


class RawPeer:
    """HTTP/2 by hand: frames out, frames in; no flow control, no HPACK but literals."""

    def __init__(self, sock):
        self.sock, self.data = sock, b""

    def frame(self, kind, flags, stream, payload=b""):
        self.sock.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def read(self, seconds):
        """All frames that come within the time, or until the peer closes."""
        until = time.monotonic() + seconds
        while True:
            self.sock.settimeout(max(0.01, until - time.monotonic()))
            try:
                more = self.sock.recv(1 << 16)
            except (socket.timeout, ConnectionError):
                break
            if not more or time.monotonic() > until:
                self.data += more
                break
            self.data += more

    def frames(self):
        data = self.data[24:] if self.data.startswith(b"PRI * HTTP/2.0") else self.data
        at = 0
        while at + 9 <= len(data):
            length = int.from_bytes(data[at:at + 3], "big")
            yield data[at + 3], data[at + 4], int.from_bytes(data[at + 5:at + 9], "big"), data[at + 9:at + 9 + length]
            at += 9 + length


def raw_call(port, headers=(), settings=b""):
    """A call of Run begun by hand: the peer, to send DATA frames on stream 1."""
    def literal(name, value):
        return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    peer = RawPeer(socket.create_connection(("127.0.0.1", port)))
    peer.sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    peer.frame(4, 0, 0, settings)
    peer.frame(1, 4, 1, b"".join(literal(*pair) for pair in [
        (":method", "POST"), (":scheme", "http"), (":path", METHOD), (":authority", "localhost"), ("te", "trailers"),
        ("content-type", "application/grpc"), *headers]))
    return peer


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="flowlane-streaming-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.port = free_port()
        self.receiver = None
        self.addCleanup(lambda: self.receiver and self.receiver.poll() is None and self.receiver.kill())

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def collector(self, **more):
        collector = Collector(self.port, **more)
        self.addCleanup(collector.stop)
        return collector

    def flowlane(self, *args):
        return subprocess.Popen([FLOWLANE, *map(str, args)], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, errors="replace")

    def end(self, process, code=0):
        out, err = process.communicate(timeout=SECS)
        self.assertEqual(process.returncode, code, f"{process.args}\n{out}{err}")
        self.assertNotRegex(err, "Sanitizer|runtime error")
        return out + err

    def start_send(self, file, *args, host="127.0.0.1"):
        return self.flowlane("-q", "-r", file, "--stream-grpc", f"{host}:{self.port}", "--summary-json", "tx.json", *args)

    def send(self, file, *args, code=0, **more):
        """The sender's words, and the details of its stream."""
        text = self.end(self.start_send(file, *args, **more), code)
        return text, self.stream_of("tx.json")

    def stream_of(self, name):
        output = next(o for o in json.loads(self.read(name))["outputs"] if o["name"] == "grpc")
        parts = output["details"]
        self.assertEqual(parts["offered"], sum(parts[name] for name in parts if name != "offered"), "each packet once")
        self.assertEqual(output["records"] + output["lost"], parts["offered"])
        return parts

    def start_receiver(self, *args):
        self.receiver = self.flowlane("receive", "--listen", f"127.0.0.1:{self.port}", "-q", "--summary-json", "rx.json", *args)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as sock:
                if "--tls-cert" in args:
                    time.sleep(0.5)  # a TLS server waits for the first word
                else:
                    sock.settimeout(20)
                    sock.recv(1)  # its SETTINGS: now it works, and hears signals
                return
            self.assertIsNone(self.receiver.poll(), "the receiver ended early")
            time.sleep(0.02)
        self.fail("the receiver does not listen")

    def stop_receiver(self, code=0, number=signal.SIGINT):
        self.receiver.send_signal(number)
        text = self.end(self.receiver, code)
        self.summary = json.loads(self.read("rx.json"))
        for ledger in [self.summary, *self.summary["lanes"]]:
            self.assertEqual(ledger["packets_read"], ledger["packets_decoded"] + sum(ledger["drops"].values()))
        return text

    def raw_call(self):
        peer = raw_call(self.port)
        self.addCleanup(peer.sock.close)
        return peer

    def call(self, messages, metadata=(), compression=None, timeout=SECS, method=METHOD):
        """Bytes as messages of one stream: the status code and its words."""
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            run = channel.stream_unary(method, request_serializer=lambda m: m, response_deserializer=empty_pb2.Empty.FromString)
            try:
                run(iter(messages), metadata=metadata, timeout=timeout, compression=compression)
                return grpc.StatusCode.OK, ""
            except grpc.RpcError as error:
                return error.code(), error.details()

    def call_capture(self, data, **more):
        return self.call([packet.SerializeToString() for packet in packets_of(data)], **more)


def dataset():
    for name in ("dataset.pcap", "test__dataset.pcap"):
        path = os.path.join(CORPUS, "Sniffer", name)
        if os.path.exists(path):
            with open(path, "rb") as file:
                return file.read()
    return None


class Identity(Case):
    """What is sent is what arrives."""

    def captures(self):
        yield "own", capture_of([udp_frame(i, 60 + i % 1400, i % 9) for i in range(3000)])
        yield "cut packets", capture_of([udp_frame(i, 90) for i in range(50)], wire=1514)
        yield "long packets", capture_of([udp_frame(i, size) for i, size in enumerate((65535, 65534, 60, 32768, 16384, 16383, 64))])
        yield "empty", capture_of([])
        yield "packet of no bytes", capture_of([b"", udp_frame(1), b""])
        if dataset():
            yield "dataset", dataset()

    def test_sent_by_flowlane_to_python(self):
        collector = self.collector()
        for name, data in self.captures():
            with self.subTest(name):
                _, parts = self.send(self.write("in.pcap", data))
                self.assertEqual(collector.capture(), data)
                self.assertEqual(parts["confirmed"], parts["offered"])
                self.assertEqual(collector.metadata[-1]["x-flowlane-linktype"], "1")
                self.assertEqual(collector.metadata[-1]["x-flowlane-snaplen"], "65535")

    def test_sent_by_python_to_flowlane(self):
        for name, data in self.captures():
            with self.subTest(name):
                self.start_receiver("-w", "out.pcap")
                self.assertEqual(self.call_capture(data), (grpc.StatusCode.OK, ""))
                self.stop_receiver()
                self.assertEqual(self.read("out.pcap"), data)
                self.assertEqual(self.summary["streams"]["complete"], 1)

    def test_longest_packets_and_nanoseconds_between_flowlanes(self):
        frames = [udp_frame(i, 300)[:34] + bytes(262144 - 34 - i) for i in range(3)]
        data = capture_of(frames, 262144)
        data = struct.pack("<I", 0xa1b23c4d) + data[4:]
        fraction = iter((0, 999, 123456789))
        at, out = 24, data[:24]
        while at < len(data):
            secs, _, cap_len, wire_len = struct.unpack_from("<IIII", data, at)
            out += struct.pack("<IIII", secs, next(fraction), cap_len, wire_len) + data[at + 16:at + 16 + cap_len]
            at += 16 + cap_len
        self.start_receiver("-w", "out.pcap", "--pcap-precision", "ns")
        self.send(self.write("in.pcap", out))
        self.stop_receiver()
        self.assertEqual(self.read("out.pcap")[24:], out[24:])

    def test_snaplen_cuts_the_stream(self):
        collector = self.collector()
        self.send(self.write("in.pcap", capture_of([udp_frame(1, 500)])), "-s", "96")
        packet, = collector.streams[-1]
        self.assertEqual((packet.header.caplen, packet.header.len, len(packet.data.data)), (96, 500, 96))
        self.assertEqual(collector.metadata[-1]["x-flowlane-snaplen"], "96")

    def test_filter_selects_what_is_sent(self):
        collector = self.collector()
        self.send(self.write("in.pcap", capture_of([udp_frame(i, 100, i % 4) for i in range(40)])), "host", "10.0.0.3")
        self.assertEqual(len(collector.streams[-1]), 10)

    def test_exports_of_both_ends_are_the_same(self):
        names = ["own.pcap"]
        self.write("own.pcap", capture_of([udp_frame(i, 80, i % 300) for i in range(5000)]))
        for folder, _, files in sorted(os.walk(CORPUS)):
            for name in sorted(files):
                path = os.path.join(folder, name)
                if name.endswith((".pcap", ".pcapng", ".cap")) and 10000 < os.path.getsize(path) < 1 << 20:
                    names.append(path)
        outputs = [("json", "--export-json"), ("csv", "--export-csv"), ("rtt", "--rtt-samples-jsonl")]
        compared = 0
        for path in names[:1] + names[1::max(1, len(names) // 12)]:
            args = [word for kind, option in outputs for word in (option, f"{{}}.{kind}")] + ["--all-protocols", "--extended"]
            self.start_receiver(*(arg.format("received") for arg in args))
            sender = self.start_send(path, *(arg.format("sent") for arg in args))
            out, err = sender.communicate(timeout=SECS)
            self.stop_receiver()
            if sender.returncode != 0 and "link type" in out + err:
                continue  # a capture that flowlane does not read, or of several types
            compared += 1
            for kind, _ in outputs:
                received, sent = (self.read(f"{end}.{kind}") for end in ("received", "sent"))
                if kind == "rtt":  # the order of its lines depends on the batches
                    received, sent = (sorted(text.splitlines()) for text in (received, sent))
                self.assertTrue(received == sent, f"{path}: {kind}")
        self.assertGreater(compared, 0)


class Wire(Case):
    """The bytes, seen by a peer that is no gRPC library."""

    def peer_of_sender(self, data, seconds, *args, code=2, settings=b""):
        with socket.create_server(("127.0.0.1", self.port)) as server:
            sender = self.start_send(self.write("in.pcap", data), "--stream-timeout", "1", *args)
            sock, _ = server.accept()
            with sock:
                peer = RawPeer(sock)
                peer.frame(4, 0, 0, settings)
                peer.read(seconds)
        text = self.end(sender, code)
        return peer, text, self.stream_of("tx.json")

    def test_golden_frame(self):
        data = file_header() + struct.pack("<IIII", 1706123400, 123456, 4, 60) + bytes([1, 2, 3, 4])
        peer, _, _ = self.peer_of_sender(data, 1)
        body = b"".join(payload for kind, _, stream, payload in peer.frames() if kind == 0 and stream == 1)
        self.assertEqual(body, GOLDEN)
        ends = [flags & 1 for kind, flags, _, _ in peer.frames() if kind == 0]
        self.assertEqual(ends[-1], 1, "half-closed at the end of the file")

    def test_window_that_never_opens(self):
        frames = [udp_frame(i, 1000) for i in range(1000)]
        peer, text, parts = self.peer_of_sender(capture_of(frames), 3)
        body = sum(len(payload) for kind, _, _, payload in peer.frames() if kind == 0)
        self.assertEqual(body, 65535, "HTTP/2's window at the start, and no byte more")
        self.assertEqual(parts["offered"], 1000)
        self.assertEqual(parts["confirmed"], 0)
        self.assertIn("collector", text)

    def test_window_that_opens_slowly(self):
        collector = self.collector(pause=lambda n: n % 500 == 0 and time.sleep(0.2))
        _, parts = self.send(self.write("in.pcap", capture_of([udp_frame(i, 1000) for i in range(3000)])))
        self.assertEqual(parts["confirmed"], 3000)
        self.assertEqual(len(collector.streams[-1]), 3000)

    def test_compressed_flag_without_an_algorithm(self):
        self.start_receiver()
        peer = self.raw_call()
        message = gzip.compress(next(packets_of(capture_of([udp_frame(1)]))).SerializeToString())
        peer.frame(0, 0, 1, b"\1" + struct.pack(">I", len(message)) + message)
        peer.read(1)
        self.assertTrue(any(kind in (1, 3) for kind, _, stream, _ in peer.frames() if stream == 1), "the stream is ended")
        self.assertEqual(self.call_capture(capture_of([udp_frame(1)]))[0], grpc.StatusCode.OK)
        self.stop_receiver()
        self.assertEqual(self.summary["packets_read"], 1)

    def test_compressed_by_a_proper_client(self):
        data = capture_of([udp_frame(i, 800) for i in range(200)])
        self.start_receiver("-w", "out.pcap")
        for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            self.assertEqual(self.call_capture(data, compression=compression), (grpc.StatusCode.OK, ""))
        self.stop_receiver()
        self.assertEqual(self.read("out.pcap"), data + data[24:])

    def test_messages_in_odd_pieces(self):
        """A message split over many DATA frames, and many in one."""
        frames = [udp_frame(i, 100, i) for i in range(20)]
        body = b"".join(b"\0" + struct.pack(">I", len(m)) + m for m in (p.SerializeToString() for p in packets_of(capture_of(frames))))
        for size in (1, 7, 100, len(body)):
            self.start_receiver("-w", "out.pcap")
            peer = self.raw_call()
            for at in range(0, len(body), size):
                peer.frame(0, 1 if at + size >= len(body) else 0, 1, body[at:at + size])
            peer.read(0.5)
            self.stop_receiver()
            self.assertEqual(self.read("out.pcap"), capture_of(frames), f"pieces of {size}")


class Robustness(Case):
    """Peers that misbehave are ended alone; the others go on."""

    def test_malformed_messages_end_their_stream_only(self):
        good = [packet.SerializeToString() for packet in packets_of(capture_of([udp_frame(i) for i in range(5)]))]
        bad = {
            "no header": pb.Packet(data=pb.PacketData(data=b"abc")).SerializeToString(),
            "no data": pb.Packet(header=pb.PacketHeader(ts_sec=1)).SerializeToString(),
            "nothing": b"",
            "caplen is another": pb.Packet(header=pb.PacketHeader(caplen=4), data=pb.PacketData(data=b"abc")).SerializeToString(),
            "garbage": b"\xff" * 40,
            "cut": good[0][:-1],
            "microseconds": pb.Packet(header=pb.PacketHeader(ts_usec=1000000), data=pb.PacketData()).SerializeToString(),
        }
        self.start_receiver("-w", "out.pcap", "--lanes", "2")
        proceed, results = threading.Event(), []

        def other():
            yield good[0]
            proceed.wait(SECS)
            yield from good[1:]
        thread = threading.Thread(target=lambda: results.append(self.call(other())))
        thread.start()
        for name, message in bad.items():
            code, words = self.call([good[0], message, good[1]])
            self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT, f"{name}: {words}")
            self.assertIn("Packet", words)
        proceed.set()
        thread.join(SECS)
        self.assertEqual(results, [(grpc.StatusCode.OK, "")])
        self.stop_receiver()
        streams = self.summary["streams"]
        self.assertEqual((streams["complete"], streams["malformed"], streams["malformed_messages"]), (1, len(bad), len(bad)))
        self.assertEqual(streams["packets"], self.summary["packets_read"])
        self.assertEqual(self.summary["packets_read"], len(good) + len(bad))

    def test_message_longer_than_any_packet(self):
        self.start_receiver()
        code, _ = self.call([b"\x12" + bytes(300000)])
        self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertEqual(self.call_capture(capture_of([udp_frame(1)]))[0], grpc.StatusCode.OK)
        self.stop_receiver()

    def test_other_calls_and_link_types(self):
        self.start_receiver("--export-json", "flows.json")
        self.assertEqual(self.call([], method="/packet_streaming.PacketStreaming/Walk")[0], grpc.StatusCode.UNIMPLEMENTED)
        raw_ip = capture_of([udp_frame(i)[14:] for i in range(3)])
        self.assertEqual(self.call_capture(raw_ip, metadata=[("x-flowlane-linktype", "101")])[0], grpc.StatusCode.OK)
        for wrong in ("147", "ethernet", "", "-1", "99999999999"):
            self.assertEqual(self.call_capture(raw_ip, metadata=[("x-flowlane-linktype", wrong)])[0], grpc.StatusCode.INVALID_ARGUMENT)
        self.stop_receiver()
        self.assertEqual(len(json.loads(self.read("flows.json"))), 1)
        self.assertEqual(self.summary["streams"]["refused_calls"], 1)
        self.start_receiver("-w", "out.pcap")
        code, words = self.call_capture(raw_ip, metadata=[("x-flowlane-linktype", "101")])
        self.assertEqual(code, grpc.StatusCode.FAILED_PRECONDITION, words)
        self.stop_receiver()

    def test_garbage_and_half_open_peers(self):
        self.start_receiver("-w", "out.pcap")
        held = []
        for first in (b"", b"\0" * 100, os.urandom(5000), b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                      b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + os.urandom(3000), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)):
            sock = socket.create_connection(("127.0.0.1", self.port))
            with contextlib.suppress(OSError):
                sock.sendall(first)
            held.append(sock)
        silent = self.raw_call()  # a stream, and then never a word
        cut = self.raw_call()
        cut.frame(0, 0, 1, b"\0\0\0\1\0" + bytes(10))  # a part of a message, and gone
        cut.sock.close()
        data = capture_of([udp_frame(i) for i in range(100)])
        self.assertEqual(self.call_capture(data)[0], grpc.StatusCode.OK)
        self.stop_receiver()
        self.assertEqual(self.read("out.pcap"), data)
        silent.sock.close()
        for sock in held:
            sock.close()

    def test_hundred_sensors(self):
        self.start_receiver("--lanes", "2", "--export-json", "flows.json")
        codes = []

        def sensor(number):
            codes.append(self.call_capture(capture_of([udp_frame(i, 70, number) for i in range(200)])))
        threads = [threading.Thread(target=sensor, args=(number,)) for number in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECS)
        self.assertEqual(codes, [(grpc.StatusCode.OK, "")] * 100)
        self.stop_receiver()
        self.assertEqual(self.summary["packets_read"], 20000)
        streams = self.summary["streams"]
        self.assertEqual((streams["count"], streams["complete"], len(streams["sensors"])), (100, 100, 100))
        self.assertEqual({sensor["packets"] for sensor in streams["sensors"]}, {200})
        self.assertEqual({sensor["lane"] for sensor in streams["sensors"]}, {0, 1}, "streams spread over the lanes")
        flows = json.loads(self.read("flows.json"))
        self.assertEqual(sorted(flow["packets_total"] for flow in flows), [200] * 100)

    def test_stop_while_streams_are_open(self):
        self.start_receiver("--export-json", "flows.json")
        sent = threading.Event()

        def endless():
            for packet in packets_of(capture_of([udp_frame(i) for i in range(500)])):
                yield packet.SerializeToString()
            sent.set()
            time.sleep(3)
        results = []
        thread = threading.Thread(target=lambda: results.append(self.call(endless())))
        thread.start()
        sent.wait(SECS)
        time.sleep(0.3)
        self.stop_receiver()
        thread.join(SECS)
        self.assertEqual(results[0][0], grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(self.summary["packets_read"], 500)
        self.assertEqual(json.loads(self.read("flows.json"))[0]["packets_total"], 500)
        self.assertEqual(self.summary["streams"]["open"], 1)

    def test_count_and_duration(self):
        self.start_receiver("-c", "7", "-w", "out.pcap")
        self.call_capture(capture_of([udp_frame(i) for i in range(50)]))
        self.end(self.receiver)
        self.assertEqual(self.read("out.pcap"), capture_of([udp_frame(i) for i in range(7)]))
        self.start_receiver("--duration", "0.5")
        self.end(self.receiver)


class Reconnect(Case):
    def test_collector_killed_and_started_again(self):
        slow = lambda n: n % 50 == 0 and time.sleep(0.005)
        first = self.collector(pause=slow)
        # 63 MB: more than what can be on its way when this machine is slow, and windows have grown.
        sender = self.start_send(self.write("in.pcap", capture_of([udp_frame(i, 1400, i) for i in range(50)] * 900)))
        while not first.streams or len(first.streams[0]) < 3000:
            time.sleep(0.01)
        first.stop()
        time.sleep(0.5)
        second = self.collector()
        text = self.end(sender, 2)  # not all is known to have arrived
        parts = self.stream_of("tx.json")
        self.assertEqual(parts["offered"], 45000)
        self.assertEqual(parts["unsent"] + parts["dropped_buffer_full"] + parts["dropped_no_connection"], 0)
        self.assertGreater(parts["unconfirmed"], 0)
        got = [packet for stream in (*first.streams, *second.streams) for packet in stream]
        self.assertEqual(len(second.streams[-1]), parts["confirmed"])
        self.assertLessEqual(parts["confirmed"], len(got))
        self.assertLessEqual(len(got), parts["confirmed"] + parts["unconfirmed"])
        numbers = [packet.header.ts_sec * 1000000 + packet.header.ts_usec for packet in got]
        self.assertEqual(len(set(numbers)), len(numbers), "no packet twice")
        self.assertEqual(numbers, sorted(numbers), "the order of the capture")
        self.assertIn("trying again", text)

    def test_collector_that_comes_late(self):
        sender = self.start_send(self.write("in.pcap", capture_of([udp_frame(1)])))
        time.sleep(0.7)
        collector = self.collector()
        self.end(sender)
        self.assertEqual(self.stream_of("tx.json")["confirmed"], 1)
        self.assertEqual(len(collector.streams), 1)


class BadInput(Case):
    """One clear line, and the exit code."""

    def assert_given_up(self, words, *args, **more):
        begin = time.monotonic()
        text, parts = self.send(self.write("in.pcap", capture_of([udp_frame(i) for i in range(10)])), "--stream-timeout", "1", *args, code=2, **more)
        self.assertLess(time.monotonic() - begin, 15)
        self.assertRegex(text, words)
        self.assertEqual((parts["confirmed"], parts["offered"]), (0, 10))
        for line in text.splitlines():
            self.assertTrue(line.startswith("flowlane: "), f"a line that is not ours: {line}")

    def test_refused(self):
        self.assert_given_up("collector 127.0.0.1:[0-9]+: Connection refused")

    def test_unknown_host(self):
        self.assert_given_up("unknown host", host="no-such-host.invalid")

    def test_not_grpc(self):
        with socket.create_server(("127.0.0.1", self.port)) as server:
            def http():
                with contextlib.suppress(OSError):
                    while True:
                        sock, _ = server.accept()
                        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                        sock.close()
            threading.Thread(target=http, daemon=True).start()
            self.assert_given_up("collector")

    def test_collector_without_the_method(self):
        server = grpc.server(futures.ThreadPoolExecutor(1))
        server.add_insecure_port(f"127.0.0.1:{self.port}")
        server.start()
        self.addCleanup(server.stop, 0)
        self.assert_given_up("UNIMPLEMENTED")

    def test_usage(self):
        pcap = self.write("in.pcap", capture_of([]))
        for words, args in (
                ("is not HOST:PORT", ["-r", pcap, "--stream-grpc", "localhost"]),
                ("without a scheme", ["-r", pcap, "--stream-grpc", "http://localhost:1"]),
                ("put an IPv6 address into brackets", ["-r", pcap, "--stream-grpc", "::1:50051"]),
                ("no port", ["receive", "--listen", "127.0.0.1:70000"]),
                ("--listen ADDR:PORT", ["receive"]),
                ("No such file", ["-r", pcap, "--stream-grpc", "a:1", "--stream-tls", "--stream-ca", "nothing.pem"]),
                ("PEM", ["-r", pcap, "--stream-grpc", "a:1", "--stream-tls", "--stream-ca", pcap])):
            text = self.end(self.flowlane(*args), 2 if words == "No such file" else 1)
            self.assertIn(words, text)
            self.assertEqual(text.count("\n"), 1, text)

    def test_address_in_use(self):
        with socket.create_server(("127.0.0.1", self.port)):
            text = self.end(self.flowlane("receive", "--listen", f"127.0.0.1:{self.port}", "-q"), 2)
        self.assertIn("Address already in use", text)
        self.start_receiver()
        text = self.end(self.flowlane("receive", "--listen", f"127.0.0.1:{self.port}", "-q"), 2)
        self.assertIn("Address already in use", text)
        self.stop_receiver()

    def test_address_of_another_machine(self):
        self.assertIn("Cannot assign requested address", self.end(self.flowlane("receive", "--listen", f"192.0.2.1:{self.port}"), 2))


class Metrics(Case):
    """What /metrics says of outputs while they are written; here, because a receiver is live without privileges."""

    def setUp(self):
        super().setUp()
        self.metrics = free_port()

    def samples(self, head):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            return [line for line in answer.read().decode().splitlines() if line.startswith(f"flowlane_{head}")]

    def outputs(self, what):
        return {line.split('"')[1]: int(line.split()[-1]) for line in self.samples(f"output_{what}_total{{")}

    def wait_for(self, condition, what):
        until = time.monotonic() + 20
        while not condition():
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.1)

    def test_records_are_those_of_the_summary(self):
        self.start_receiver("--metrics", self.metrics, "--lanes", "2", "--flow-timeout-s", "1", "-w", "out.pcap", "--export-pipe", "x.pipe", "--export-csv-flow",
                            "x.csv", "--export-nfcapd", "nf", "--expired-flows-jsonl", "x.jsonl", "--export-json", "x.json")
        data = capture_of([udp_frame(i, 80, i % 300) for i in range(3000)])
        for _ in range(2):
            self.assertEqual(self.call_capture(data)[0], grpc.StatusCode.OK)
        self.wait_for(lambda: self.outputs("records")["pcap"] == 6000 and self.outputs("records")["expired_flows_jsonl"] >= 300 and
                      not any(int(line.split()[-1]) for line in self.samples("flows_alive{")), "all flows have ended")
        time.sleep(1.5)  # a buffer waits half a second
        records, lost = self.outputs("records"), self.outputs("lost")
        self.stop_receiver()
        summary = {output["name"]: output["records"] for output in self.summary["outputs"]}
        self.assertEqual(set(records), set(summary) - {"json"})  # which is written at the end
        self.assertEqual(set(lost.values()), {0})
        self.assertLessEqual(records.pop("nfcapd"), summary["nfcapd"])  # blocks that are full
        for name, n in records.items():
            self.assertEqual(n, summary[name], name)

    def test_what_a_pcap_loses_is_counted_at_once(self):
        os.mkfifo(self.path("slow.pcap"))
        pipe = os.open(self.path("slow.pcap"), os.O_RDONLY | os.O_NONBLOCK)
        self.start_receiver("--metrics", self.metrics, "-w", "slow.pcap")
        self.send(self.write("in.pcap", capture_of([udp_frame(1, 1500)] * 60000)))
        self.wait_for(lambda: self.outputs("lost")["pcap"] > 0, "the loss is counted")
        os.set_blocking(pipe, True)
        drain = threading.Thread(target=lambda: all(iter(lambda: os.read(pipe, 1 << 16), b"")))
        drain.start()
        self.stop_receiver(2)
        drain.join(20)
        os.close(pipe)
        output, = self.summary["outputs"]
        self.assertGreater(output["lost"], 0)
        self.assertEqual(output["records"] + output["lost"], 60000)


class Tls(Case):
    def setUp(self):
        super().setUp()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                       cwd=self.folder, check=True, stderr=subprocess.DEVNULL)
        self.data = capture_of([udp_frame(i) for i in range(100)])
        self.pcap = self.write("in.pcap", self.data)

    def test_to_python_and_from_python(self):
        collector = self.collector(credentials=grpc.ssl_server_credentials([(self.read("key.pem"), self.read("cert.pem"))]))
        _, parts = self.send(self.pcap, "--stream-tls", "--stream-ca", "cert.pem", host="localhost")
        self.assertEqual(parts["confirmed"], 100)
        self.assertEqual(collector.capture(), self.data)
        collector.stop()
        self.start_receiver("-w", "out.pcap", "--tls-cert", "cert.pem", "--tls-key", "key.pem")
        with grpc.secure_channel(f"localhost:{self.port}", grpc.ssl_channel_credentials(self.read("cert.pem"))) as channel:
            pb_grpc.PacketStreamingStub(channel).Run(packets_of(self.data), timeout=SECS)
        self.stop_receiver()
        self.assertEqual(self.read("out.pcap"), self.data)

    def test_mismatch(self):
        self.start_receiver("--tls-cert", "cert.pem", "--tls-key", "key.pem")
        for words, args in (("certificate verify failed; given up. Name the authority [^\n]* --stream-ca", ["--stream-tls"]), ("without TLS", [])):
            text, parts = self.send(self.pcap, "--stream-timeout", "1", *args, code=2, host="localhost")
            self.assertRegex(text, words)
            self.assertEqual(parts["confirmed"], 0)
        self.stop_receiver()
        self.start_receiver()
        text, _ = self.send(self.pcap, "--stream-timeout", "1", "--stream-tls", "--stream-ca", "cert.pem", code=2, host="localhost")
        self.assertRegex(text, "TLS")
        self.stop_receiver()

    def test_key_of_another_certificate(self):
        subprocess.run(["openssl", "genrsa", "-out", "other.pem", "2048"], cwd=self.folder, check=True, stderr=subprocess.DEVNULL)
        text = self.end(self.flowlane("receive", "--listen", f"127.0.0.1:{self.port}", "--tls-cert", "cert.pem", "--tls-key", "other.pem"), 1)
        self.assertIn("--tls-key", text)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])
