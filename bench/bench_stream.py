#!/usr/bin/env python3
"""Packet streaming over loopback: flowlane to flowlane, and flowlane to a receiver of python3-grpcio, which does nothing but count.

Usage: bench_stream.py FLOWLANE [SCALE]. Prints a JSON line per combination; `kpps`, `gbit_s`: from the sender's start to the receiver's answer,
tables, threads and connection included. SCALE 1 takes 20 s on two cores.
"""
import importlib.util
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

if importlib.util.find_spec("grpc") is None and sys.executable != "/usr/bin/python3":
    os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])

FLOWLANE = os.path.abspath(sys.argv[1])
SCALE = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
FLOWS = 1024

PYTHON_RECEIVER = """
import sys, grpc
from concurrent import futures
sys.path.insert(0, sys.argv[2])
import packet_streaming_pb2_grpc as service
from google.protobuf import empty_pb2
class Counter(service.PacketStreamingServicer):
    def Run(self, packets, context):
        for packet in packets: pass
        return empty_pb2.Empty()
server = grpc.server(futures.ThreadPoolExecutor(1))
service.add_PacketStreamingServicer_to_server(Counter(), server)
server.add_insecure_port(sys.argv[1])
server.start()
server.wait_for_termination()
"""


def make_capture(path, packets, size):
    """UDP from 1,024 ports, two packets a microsecond apart."""
    frames = []
    for flow in range(FLOWS):
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size - 14, flow, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 1, 0, 1]))
        head = bytes.fromhex("0200000000010200000000020800") + ip + struct.pack(">HHHH", 1024 + flow, 5000, size - 34, 0)
        frames.append(head + bytes(size - len(head)))
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for first in range(0, packets, FLOWS):
            file.write(b"".join(struct.pack("<IIII", 1700000000 + (first + i) // 1000000, (first + i) % 1000000, size, size) + frames[i]
                                for i in range(min(FLOWS, packets - first))))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    for _ in range(1000):
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as sock:
                return sock.recv(1)
        except OSError:
            time.sleep(0.02)
    sys.exit("the receiver does not listen")


def measure(folder, receiver, packets, size):
    capture, port = os.path.join(folder, f"{size}.pcap"), free_port()
    address = f"127.0.0.1:{port}"
    make_capture(capture, packets, size)
    command = [FLOWLANE, "receive", "--listen", address, "-q"]
    if receiver == "python3-grpcio":
        command = [sys.executable, "-c", PYTHON_RECEIVER, address, folder]
    process = subprocess.Popen(command)
    listens(port)
    before = os.times()
    out = subprocess.run([FLOWLANE, "-q", "-r", capture, "--stream-grpc", address, "--summary-json", "-"], stdout=subprocess.PIPE, check=True)
    process.send_signal(signal.SIGINT if receiver == "flowlane" else signal.SIGTERM)
    process.wait()
    os.unlink(capture)
    summary = json.loads(out.stdout)
    sent = next(output for output in summary["outputs"] if output["name"] == "grpc")["details"]["confirmed"]
    secs = summary["wall_secs"]
    cpu = os.times().children_user + os.times().children_system - before.children_user - before.children_system - summary["cpu_secs"]
    print(json.dumps({"receiver": receiver, "bytes": size, "packets": sent, "secs": secs, "kpps": round(sent / secs / 1e3, 1),
                      "gbit_s": round(sent * size * 8 / secs / 1e9, 2), "sender_cpu_us": round(summary["cpu_secs"] / sent * 1e6, 2),
                      "receiver_cpu_us": round(cpu / sent * 1e6, 2)}), flush=True)


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", os.path.join(root, "userspace", "grpc"), "--python_out", folder,
                        "--grpc_python_out", folder, "packet_streaming.proto"], check=True)
        for size, packets in ((64, 3000000), (1500, 700000)):
            measure(folder, "flowlane", int(packets * SCALE), size)
            measure(folder, "python3-grpcio", int(packets * SCALE / 20), size)


main()
