"""What the tests of the built program share: small captures, and a case that runs the program in a folder of its own."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

FLOWLANE = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "flowlane"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TIMEOUT_SECS = 60
START = 1_700_000_000


def udp(number, payload=b"x" * 20):
    """A UDP packet of flow `number`: 10.0.h.l:1000 to 10.1.0.1:53."""
    datagram = struct.pack(">HHHH", 1000, 5300, 8 + len(payload), 0) + payload
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0,
                         bytes([10, 0, number >> 8 & 255, number & 255]), bytes([10, 1, 0, 1]))
    return bytes(12) + b"\x08\x00" + header + datagram


def pcap_header(link=1, snaplen=65535):
    return struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, snaplen, link)


def record(packet, secs=START, micros=0):
    return struct.pack("<IIII", int(secs), micros, len(packet), len(packet)) + packet


def pcap(packets, link=1):
    return pcap_header(link) + b"".join(record(p, START + i // 1000, i % 1000 * 1000) for i, p in enumerate(packets))


ARP = bytes(12) + b"\x08\x06" + bytes(28)
BROKEN_IP = bytes(12) + b"\x08\x00" + b"\x45" + bytes(9)


class CliTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="flowlane-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def load(self, name):
        return json.loads(self.read(name))

    def run_it(self, *args, code=0, **more):
        """Standard output and error; fails unless the exit code is `code`."""
        done = subprocess.run([FLOWLANE, *map(str, args)], capture_output=True, timeout=TIMEOUT_SECS, cwd=self.folder, **more)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}")
        return done.stdout, done.stderr.decode()

    def run_unprivileged(self, *args, code):
        """As run_it(); as root, who may read and write everything, it runs as nobody."""
        if os.geteuid() != 0:
            return self.run_it(*args, code=code)
        os.chmod(self.folder, 0o755)
        try:
            return self.run_it(*args, code=code, user=65534, group=65534)
        except PermissionError as error:
            self.skipTest(f"SKIPPED: nobody may not run {FLOWLANE}: {error}")

    def assert_one_line(self, err, *parts):
        """Exactly one sentence on standard error, and it names all the parts."""
        self.assertRegex(err, r"\Aflowlane: [^\n]+\n\Z")
        for part in parts:
            self.assertIn(part, err)

    def assert_ledger(self, summary):
        for ledger in [summary, *summary["lanes"]]:
            self.assertEqual(ledger["packets_read"], ledger["packets_decoded"] + sum(ledger["drops"].values()))
            self.assertEqual(ledger["packets_decoded"], ledger["packets_in_flows"] + sum(ledger["no_flow"].values()))
            self.assertEqual(ledger["flows_created"], sum(ledger["flows_ended"].values()) + ledger["flows_alive"])
        for key in "packets_read", "bytes_read", "packets_decoded", "packets_in_flows", "flows_created", "flows_alive":
            self.assertEqual(summary[key], sum(lane[key] for lane in summary["lanes"]), key)
