#!/usr/bin/env python3
"""Packet indexes as a user makes and uses them: --export-rocksdb, --index, extract; and what is said where that does not work.

test_index.py FLOWLANE [unittest options]. No network, nothing outside a temporary folder; ldb is used where it is installed.
"""
import fcntl
import glob
import gzip
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest

from cli_case import ARP, FLOWLANE, START, CliTest, pcap, pcap_header, record, udp


def frames(data):
    """(seconds, fraction, cap_len, wire_len, bytes) of each record."""
    found, at = [], 24
    while at < len(data):
        head = struct.unpack_from("<IIII", data, at)
        found.append((*head, data[at + 16 : at + 16 + head[2]]))
        at += 16 + head[2]
    return found


class IndexTest(CliTest):
    def setUp(self):
        super().setUp()
        # 50 flows in turn, and frames that belong to none.
        self.packets = [ARP if i % 7 == 3 else udp(i % 50, b"p%06d" % i) for i in range(1000)]
        self.write("a.pcap", pcap(self.packets))

    def index(self, *args, **more):
        return self.run_it("-r", "a.pcap", "--export-rocksdb", "a.rdb", "-q", *args, **more)

    def extract(self, *args, index="a.rdb", **more):
        out, err = self.run_it("extract", "--index", index, "-q", *args, **more)
        return out, err

    def flows(self, index="a.rdb", *args):
        return [json.loads(line) for line in self.extract("--list", *args, index=index)[0].splitlines()]

    def of_flow(self, number, packets=None):
        return [p for p in packets or self.packets if p[26:30] == bytes([10, 0, 0, number]) and p is not ARP]


class Extract(IndexTest):
    def test_flow__its_frames_and_no_others(self):
        self.index()
        self.extract("--flow", "10.0.0.7:1000-10.1.0.1:5300/udp", "-w", "out.pcap")
        self.assertEqual([f[4] for f in frames(self.read("out.pcap"))], self.of_flow(7))
        self.assertEqual(self.read("out.pcap")[:24], self.read("a.pcap")[:24])

    def test_other_direction__nothing__both__all(self):
        self.index()
        flow = "10.1.0.1:5300-10.0.0.7:1000/udp"
        self.extract("--flow", flow, "-w", "out.pcap")
        self.assertEqual(self.read("out.pcap")[24:], b"")
        self.extract("--flow", flow, "--both", "-w", "out.pcap")
        self.assertEqual(len(frames(self.read("out.pcap"))), len(self.of_flow(7)))

    def test_standard_output__same_as_file(self):
        self.index()
        flow = ("--flow", "10.0.0.7:1000-10.1.0.1:5300/udp")
        self.extract(*flow, "-w", "out.pcap")
        self.assertEqual(self.extract(*flow, "-w", "-")[0], self.read("out.pcap"))

    def test_everything__all_ip_frames_in_order(self):
        self.index()
        self.extract("-w", "out.pcap")
        self.assertEqual([f[4] for f in frames(self.read("out.pcap"))], [p for p in self.packets if p is not ARP])

    def test_net_port_proto__as_asked(self):
        self.index()
        for arguments, count in [
            (["--net", "10.0.0.0/28"], 16), (["--net", "10.0.0.7"], 1), (["--net", "10.1.0.0/16"], 50), (["--net", "192.0.2.0/24"], 0),
            (["--port", "1000"], 50), (["--port", "53"], 0), (["--proto", "udp"], 50), (["--proto", "17"], 50), (["--proto", "tcp"], 0),
            (["--net", "10.0.0.1", "--net", "10.0.0.2", "--port", "5300"], 2), (["--net", "::/0"], 0),
        ]:
            with self.subTest(arguments=arguments):
                self.assertEqual(len(self.flows("a.rdb", *arguments)), count)

    def test_since_until__to_the_microsecond(self):
        self.index()
        at = lambda i: f"{START}.{i * 1000:06d}"
        self.extract("--since", at(100), "--until", at(199), "-w", "out.pcap")
        self.assertEqual([f[4] for f in frames(self.read("out.pcap"))], [p for p in self.packets[100:200] if p is not ARP])
        iso = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(START))
        self.extract("--since", iso + ".1", "--until", iso + ".199Z", "-w", "iso.pcap")
        self.assertEqual(self.read("iso.pcap"), self.read("out.pcap"))

    def test_list__what_the_packets_say(self):
        self.index()
        flow = next(f for f in self.flows() if f["source"] == "10.0.0.7")
        mine = self.of_flow(7)
        numbers = [i for i, p in enumerate(self.packets) if p in mine]
        self.assertEqual(flow, {
            "index": "a.rdb", "protocol": "udp", "source": "10.0.0.7", "source_port": 1000, "destination": "10.1.0.1", "destination_port": 5300,
            "packets": len(mine), "octets": sum(map(len, mine)), "first": START + numbers[0] / 1000, "last": START + numbers[-1] / 1000,
            "blocks": 1, "application": 0})

    def test_silent_for_longer_than_the_timeout__another_block(self):
        self.write("a.pcap", pcap_header() + b"".join(record(udp(1), START + s) for s in (0, 60, 121, 200)))
        self.index("--flow-timeout-s", "60")
        self.assertEqual(self.flows()[0]["blocks"], 3)
        self.index("--flow-timeout-s", "0", "--active-timeout-s", "100")
        self.assertEqual(self.flows()[0]["blocks"], 2)

    def test_lanes_memory_filter__same_places(self):
        self.index()
        self.extract("--net", "10.0.0.8/29", "-w", "out.pcap")
        for arguments in (["--lanes", "3"], ["--index-memory-mb", "1"], ["net 10.0.0.8/29"]):
            with self.subTest(arguments=arguments):
                self.index(*arguments)
                self.extract("--net", "10.0.0.8/29", "-w", "again.pcap")
                self.assertEqual(self.read("again.pcap"), self.read("out.pcap"))
        self.index("-c", "10", "net 10.0.0.8/29")
        self.extract("-w", "again.pcap")
        self.assertEqual(frames(self.read("again.pcap")), frames(self.read("out.pcap"))[:10])

    def test_nanoseconds_and_swapped_bytes__kept(self):
        data = struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1) + struct.pack(">IIII", START, 123456789, len(udp(1)), 100) + udp(1)
        self.write("a.pcap", data)
        self.index()
        self.extract("-w", "out.pcap")
        self.assertEqual(self.read("out.pcap")[:4], struct.pack("<I", 0xA1B23C4D))
        self.assertEqual(frames(self.read("out.pcap")), [(START, 123456789, len(udp(1)), 100, udp(1))])


class Written(IndexTest):
    def test_copy__indexed_as_written(self):
        self.run_it("-r", "a.pcap", "-w", "b.pcap", "-s", "46", "--index", "-q", "udp and greater 40")
        self.extract("--flow", "10.0.0.7:1000-10.1.0.1:5300/udp", "-w", "out.pcap", index="b.pcap.rdb")
        self.assertEqual([f[4] for f in frames(self.read("out.pcap"))], [p[:46] for p in self.of_flow(7)])
        self.assertEqual({flow["octets"] / flow["packets"] for flow in self.flows("b.pcap.rdb")}, {46})

    def test_rotation__an_index_for_each_file_that_goes_with_it(self):
        packets = [udp(i % 5, b"%06d" % i + b"z" * 1400) for i in range(4000)]
        self.write("big.pcap", pcap(packets))
        self.run_it("-r", "big.pcap", "-w", "c.pcap", "--write-pcap-rotate-mb", "1", "--write-pcap-max-files", "3", "--index", "-q")
        kept = sorted(glob.glob(self.path("c.*.pcap")))
        self.assertEqual(len(kept), 3)
        self.assertEqual(sorted(glob.glob(self.path("c.*.rdb"))), [f"{path}.rdb" for path in kept])
        self.extract("--flow", "10.0.0.3:1000-10.1.0.1:5300/udp", "-w", "out.pcap", index="c.*.rdb")
        there = [f[4] for path in kept for f in frames(self.read(path))]
        self.assertEqual([f[4] for f in frames(self.read("out.pcap"))], self.of_flow(3, there))

    def test_moved_together__found(self):
        self.run_it("-r", "a.pcap", "-w", "b.pcap", "--index", "-q")
        os.mkdir(self.path("there"))
        for name in "b.pcap", "b.pcap.rdb":
            os.rename(self.path(name), self.path(f"there/{name}"))
        self.extract("-w", "out.pcap", index="there/b.pcap.rdb")
        self.assertEqual(len(frames(self.read("out.pcap"))), len([p for p in self.packets if p is not ARP]))

    def test_killed__opens_with_what_was_written(self):
        process = subprocess.Popen([FLOWLANE, "-r", "-", "-w", "k.pcap", "--index", "-q"], stdin=subprocess.PIPE, cwd=self.folder)
        process.stdin.write(self.read("a.pcap"))
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while not os.path.exists(self.path("k.pcap.rdb/flowlane.index")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()
        _, err = self.extract("--list", index="k.pcap.rdb")
        self.assert_one_line(err.replace("flowlane: warning: ", "flowlane: "), "k.pcap.rdb", "its writer was killed")
        # And the next run takes the place.
        self.run_it("-r", "a.pcap", "-w", "k.pcap", "--index", "-q")
        self.assertEqual(len(self.flows("k.pcap.rdb")), 50)


class Wrong(IndexTest):
    def test_options__one_sentence_exit_1(self):
        self.write("a.pcap.gz", gzip.compress(self.read("a.pcap")))
        for arguments, part in [
            (["-r", "a.pcap", "--index"], "--write-pcap FILE"),
            (["-r", "a.pcap", "--index", "-w", "-"], "file name"),
            (["-r", "-", "--export-rocksdb", "x"], "standard input"),
            (["-r", "a.pcap", "-r", "a.pcap", "--export-rocksdb", "x"], "one file"),
            (["-i", "lo", "--export-rocksdb", "x"], "--index"),
            (["-r", "a.pcap.gz", "--export-rocksdb", "x"], "compressed"),
            (["extract"], "no index"),
            (["extract", "--index", "x"], "--list"),
            (["extract", "--index", "x", "--list", "--both"], "--flow"),
            (["extract", "--index", "x", "--list", "--port", "70000"], "65535"),
            (["extract", "--index", "x", "--list", "--proto", "tpc"], "protocol"),
            (["extract", "--index", "x", "--list", "--net", "10.0.0.0/33"], "192.0.2.0/24"),
            (["extract", "--index", "x", "--list", "--since", "yesterday"], "time"),
            (["extract", "--index", "x", "--list", "--since", "2", "--until", "1"], "later"),
            (["extract", "--index", "x", "--list", "--bogus"], "--bogus"),
            (["extract", "--index", "x", "--list", "-w"], "argument"),
            (["extract", "--index", "x", "--list", "-w", "-"], "standard output"),
            *((["extract", "--index", "x", "--list", "--flow", flow], "192.0.2.1:443-198.51.100.7:51000/tcp") for flow in (
                "", "10.0.0.1", "10.0.0.1:1-10.0.0.2:2", "10.0.0.1:1-10.0.0.2:2/", "10.0.0.1:1-10.0.0.2/tcp", "10.0.0.1:1/tcp", "/tcp", "-/tcp",
                "10.0.0.1:1-[::1]:2/tcp", "10.0.0.1:x-10.0.0.2:2/tcp", "10.0.0.1:1-10.0.0.2:65536/tcp", "[::1:1-[::2]:2/tcp", "10.0.0.1:1-10.0.0.2:2/icmp",
                "10.0.0:1-10.0.0.2:2/udp", "10.0.0.1:1-10.0.0.2:2/256", "x" * 300)),
        ]:
            with self.subTest(arguments=arguments):
                self.assert_one_line(self.run_it(*arguments, code=1)[1], part)
        self.assertEqual(sorted(os.listdir(self.folder)), ["a.pcap", "a.pcap.gz"])

    def test_directory_of_others__left_alone(self):
        os.mkdir(self.path("full"))
        self.write("full/precious", "x")
        for arguments in (["--export-rocksdb", "full"], ["--export-rocksdb", "a.pcap/x"], ["--export-rocksdb", "no/where"]):
            with self.subTest(arguments=arguments):
                self.run_it("-r", "a.pcap", "-q", *arguments, code=2)
        self.write("b.pcap.rdb", "x")
        self.assert_one_line(self.run_it("-r", "a.pcap", "-q", "-w", "b.pcap", "--index", code=2)[1], "b.pcap.rdb")
        self.assertEqual(self.read("full/precious"), b"x")

    def test_no_regular_file__refused(self):
        self.assert_one_line(self.run_it("-r", "a.pcap", "-w", "/dev/null", "--index", code=1)[1], "/dev/null", "no regular file")

    def test_no_index__said(self):
        os.mkdir(self.path("empty"))
        for path in "nowhere", "empty", "a.pcap", "none*":
            with self.subTest(path=path):
                self.assertIn(path, self.extract("--list", index=path, code=2)[1])

    @unittest.skipUnless(shutil.which("ldb"), "SKIPPED: ldb is not installed (rocksdb-tools)")
    def test_database_of_another_kind__said(self):
        subprocess.run(["ldb", f"--db={self.path('other')}", "--create_if_missing", "put", "a", "b"], check=True, capture_output=True)
        self.assert_one_line(self.extract("--list", index="other", code=2)[1], "other", "another kind")
        self.assert_one_line(self.run_it("-r", "a.pcap", "--export-rocksdb", "other", "-q", code=2)[1], "no index that flowlane made")

    @unittest.skipUnless(shutil.which("ldb"), "SKIPPED: ldb is not installed (rocksdb-tools)")
    def test_index_of_another_program__its_capture_is_named(self):
        self.index()
        os.unlink(self.path("a.rdb/flowlane.index"))
        self.assert_one_line(self.extract("-w", "out.pcap", code=2)[1], "--pcap FILE")
        self.extract("-w", "out.pcap", "--pcap", "a.pcap")
        self.assertTrue(frames(self.read("out.pcap")))
        # Values of other sizes are no index of ours.
        subprocess.run(["ldb", f"--db={self.path('a.rdb')}", "--column_family=flows", "put", "a", "b"], check=True, capture_output=True)
        self.assert_one_line(self.extract("--list", code=2)[1].split("\n")[0] + "\n", "40 bytes")

    def test_capture_gone_or_another__said(self):
        self.index()
        os.rename(self.path("a.pcap"), self.path("b.pcap"))
        self.assert_one_line(self.extract("-w", "out.pcap", code=2)[1], "a.pcap", "--pcap FILE")
        self.extract("-w", "out.pcap", "--pcap", "b.pcap")
        self.write("c.pcap", self.read("b.pcap")[:-1])
        self.assert_one_line(self.extract("-w", "x.pcap", "--pcap", "c.pcap", code=2)[1], "is not the capture", "bytes")
        other = bytearray(self.read("b.pcap"))
        other[24] += 1
        self.write("c.pcap", bytes(other))
        self.assert_one_line(self.extract("-w", "x.pcap", "--pcap", "c.pcap", code=2)[1], "first frame")
        other[24] -= 1
        other[-len(self.packets[-1]) - 8] ^= 1  # the length of the last record
        self.write("c.pcap", bytes(other))
        self.assert_one_line(self.extract("-w", "x.pcap", "--pcap", "c.pcap", code=2)[1], "frame 1000")

    def test_locked__said(self):
        self.index()
        with open(self.path("a.rdb/LOCK"), "r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            _, err = self.index(code=2)
            self.assert_one_line(err, "a.rdb", "another process is writing it")
            self.assertEqual(len(self.flows()), 50)  # reading goes on

    def test_locked_while_a_capture_is_written__it_is_whole_and_the_index_of_the_other_untouched(self):
        self.run_it("-r", "a.pcap", "-w", "b.pcap", "--index", "-q")
        before = self.read("b.pcap.rdb/flowlane.index")
        with open(self.path("b.pcap.rdb/LOCK"), "r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            _, err = self.run_it("-r", "a.pcap", "-w", "b.pcap", "--index", "-q", code=2)
            self.assertIn("another process is writing it", err)
        self.assertEqual(frames(self.read("b.pcap")), frames(self.read("a.pcap")))
        self.assertEqual(self.read("b.pcap.rdb/flowlane.index"), before)

    def test_a_bit_of_the_database_changed__said(self):
        for family, arguments in (("flows", ["--list"]), ("packets", ["-w", "out.pcap"])):
            self.index()
            # The larger file holds the packets.
            path = sorted(glob.glob(self.path("a.rdb/*.sst")), key=os.path.getsize)[family == "packets"]
            for at in (100, os.path.getsize(path) // 3):
                with self.subTest(family=family, at=at), open(path, "r+b") as file:
                    file.seek(at)
                    byte = file.read(1)[0]
                    file.seek(at)
                    file.write(bytes([byte ^ 4]))
                    file.flush()
                    self.assertIn("it is damaged; make it again", self.extract(*arguments, code=2)[1])
                    file.seek(at)
                    file.write(bytes([byte]))
                    file.flush()
                    self.extract(*arguments)
        self.write("a.rdb/flowlane.index", b"\0garbage")
        self.assertIn("name the capture with --pcap FILE", self.extract("-w", "out.pcap", code=2)[1])
        self.extract("-w", "out.pcap", "--pcap", "a.pcap")
        self.assertEqual(len(frames(self.read("out.pcap"))), len([p for p in self.packets if p is not ARP]))

    def test_damaged__said(self):
        for name in "MANIFEST-*", "CURRENT", "*.sst":
            with self.subTest(name=name):
                self.index()
                for path in glob.glob(self.path(f"a.rdb/{name}")):
                    with open(path, "r+b") as file:
                        file.truncate(max(os.path.getsize(path) // 2, 1))
                self.assert_one_line(self.extract("-w", "out.pcap", code=2)[1], "a.rdb")
        shutil.rmtree(self.path("a.rdb"))

    def test_disk_full__the_rest_goes_on_and_the_index_is_incomplete(self):
        self.write("big.pcap", pcap([udp(i % 1000, b"%06d" % i) for i in range(100000)]))
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        _, err = self.run_it("-q", "-r", "big.pcap", "--export-rocksdb", "big.rdb", "--export-json", "flows.json", "--summary-json", "s.json",
                             code=2, preexec_fn=limit)
        self.assertRegex(err, "File too large")
        self.assertIn("not complete; the capture is not affected", err)
        index = next(o for o in self.load("s.json")["outputs"] if o["name"] == "index")
        self.assertEqual((index["records"], index["lost"]), (0, 100000))
        self.assertEqual(len(self.load("flows.json")), 1000)
        out, err = self.extract("--list", index="big.rdb")
        self.assertEqual(out, b"")
        self.assertIn("incomplete: 100000 packets", err)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "SKIPPED: needs root and unshare")
    def test_file_system_full__said_and_incomplete(self):
        self.write("big.pcap", pcap([udp(i % 1000, b"%06d" % i) for i in range(300000)]))
        os.mkdir(self.path("small"))
        script = f"mount -t tmpfs -o size=4m none small && {FLOWLANE} -q -r big.pcap --export-rocksdb small/x.rdb --export-json flows.json; " \
                 f"echo code $?; grep -a state small/x.rdb/flowlane.index; {FLOWLANE} extract --index small/x.rdb --list"
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=self.folder, capture_output=True, text=True, timeout=60)
        self.assertIn("code 2", done.stdout)
        self.assertIn("No space left on device; free some space", done.stderr)
        self.assertIn("state incomplete", done.stdout)
        self.assertEqual(len(self.load("flows.json")), 1000)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
