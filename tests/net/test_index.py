#!/usr/bin/env python3
"""Packet indexes of live captures: of all packets of each file, with several lanes, rotation and direct writes; and what a full disk, a
thread that stands still and kill -9 leave. ldb and a reader of our own (interop/metacap.py) judge."""
import contextlib
import ctypes
import glob
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

import lab

sys.path.insert(0, os.path.join(lab.ROOT, "tests", "interop"))
import check_index
import metacap
from capture import read_capture

COUNT = 20000
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WAIT_ANY_THREAD = 0x40000000  # __WALL
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


@contextlib.contextmanager
def thread_stopped(pid, name):
    """One thread of a process stands still, as if the disk did not answer it; the others go on."""
    for tid in map(int, os.listdir(f"/proc/{pid}/task")):
        with open(f"/proc/{pid}/task/{tid}/comm") as file:
            if file.read().strip() == name:
                break
    else:
        raise AssertionError(f"no thread {name}")
    if libc.ptrace(PTRACE_SEIZE, tid, None, None) or libc.ptrace(PTRACE_INTERRUPT, tid, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(tid, WAIT_ANY_THREAD)
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, tid, None, None)


@unittest.skipUnless(shutil.which("ldb"), "SKIPPED: ldb is not installed (rocksdb-tools)")
class Index(lab.Lab):
    def state(self, directory):
        with open(self.path(f"{directory}/flowlane.index")) as file:
            return dict(line.rstrip("\n").split(" ", 1) for line in file)["state"]

    def check(self, name):
        """The index of the capture is what metacap.py computes from it. How many packets."""
        capture = read_capture(self.path(name))
        families = metacap.expected(capture)
        check_index.compare(name, check_index.scan(self.path(name + ".rdb"), "flows"), families.flows)
        check_index.compare(name, check_index.scan(self.path(name + ".rdb"), "packets"), families.packets)
        self.assertEqual(self.state(name + ".rdb"), "complete")
        self.extract("--index", name + ".rdb", "-w", "out.pcap")
        self.assertTrue(self.read("out.pcap")[24:] == self.read(name)[24:], "all frames are in flows: the copy is the capture")
        return len(capture.packets)

    def extract(self, *arguments):
        run = subprocess.run([lab.binary("flowlane"), "extract", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run

    def output(self, summary, name="index"):
        return next(output for output in summary["outputs"] if output["name"] == name)

    def captures(self):
        names = sorted(os.path.basename(path) for path in glob.glob(self.path("cap*.pcap")))
        self.assertEqual(sorted(os.path.basename(path) for path in glob.glob(self.path("*.rdb"))), [name + ".rdb" for name in names])
        return names

    def test_lanes_rotation_direct_io__each_file_has_its_index(self):
        for options, least in [(["--fanout", 3], 1), (["--fanout", 3, "--pcap-per-lane", "--direct-io"], 3),
                               (["--fanout", 2, "--pcap-per-lane", "--write-pcap-rotate-mb", 1], 4), (["--direct-io", "--write-pcap-rotate-mb", 1], 4)]:
            with self.subTest(options=options):
                run = self.capture("-q", "-w", "cap.pcap", "--index", *options)
                generator = self.start("src", lab.binary("live_gen"), "-i", "src0", "--flows", 300, "--size", 250, "--count", COUNT, "--rate", 60000)
                time.sleep(0.1)
                run.process.send_signal(signal.SIGHUP)
                generated = generator.done().json()
                if "--write-pcap-rotate-mb" not in options:
                    lab.wait_for(lambda: "not reopened" in run.errors(), "SIGHUP is answered")
                summary = self.stop_capture(run)
                self.assert_conserved(summary, generated["sent"])
                self.assertEqual("not reopened" in run.errors(), "--write-pcap-rotate-mb" not in options)
                names = self.captures()
                self.assertGreaterEqual(len(names), least)
                index = self.output(summary)
                packets = sum(self.check(name) for name in names)
                self.assertEqual((index["records"], index["lost"], index["files"]), (packets, 0, len(names)))
                self.assertEqual(packets, self.output(summary, "pcap")["records"])
                for name in names:
                    os.unlink(self.path(name))
                    shutil.rmtree(self.path(name + ".rdb"))

    def test_thread_stands_still__capture_goes_on_and_the_index_comes_later(self):
        run = self.capture("-q", "-w", "cap.pcap", "--index")
        lab.wait_for(lambda: os.path.exists(self.path("cap.pcap.rdb/flowlane.index")), "the index is begun")
        with thread_stopped(run.process.pid, "index"):
            generated = self.generate("--flows", 100, "--size", 500, "--count", COUNT, "--rate", 60000)
            run.process.send_signal(signal.SIGINT)
            expected = 24 + (16 + 500) * generated["sent"]  # no frame was lost, and all are on the disk
            lab.wait_for(lambda: os.path.getsize(self.path("cap.pcap")) >= expected - 4 * generated["sent"], "the capture is complete")
            self.assertEqual(self.state("cap.pcap.rdb"), "writing")
            self.assertIsNone(run.process.poll())
        run.done()
        summary = self.load("summary.json")
        self.assert_conserved(summary, generated["sent"])
        self.assertEqual((self.lost(summary), self.output(summary, "pcap")["lost"]), (0, 0))
        self.assertEqual(self.check("cap.pcap"), generated["sent"])

    def test_disk_of_the_index_full__capture_goes_on_and_the_index_is_incomplete(self):
        os.mkdir(self.path("cap.pcap.rdb"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "flowlane-test", self.path("cap.pcap.rdb")], check=True)
        self.addCleanup(subprocess.run, ["umount", self.path("cap.pcap.rdb")], check=True)
        run = self.capture("-q", "-w", "cap.pcap", "--index", "--export-json", "flows.json")
        generated = self.generate("--flows", 100, "--size", 64, "--count", 8 * COUNT, "--rate", 100000)
        summary = self.stop_capture(run, code=2)
        self.assert_conserved(summary, generated["sent"])
        self.assertEqual(run.errors().count("No space left on device"), 1, run.errors())
        self.assertIn("not complete; the capture is not affected", run.errors())
        pcap, index = self.output(summary, "pcap"), self.output(summary)
        self.assertEqual((pcap["lost"], index["records"], index["lost"]), (0, 0, pcap["records"]))
        self.assertEqual(sum(1 for _ in lab.pcap_records(self.read("cap.pcap"))), pcap["records"])
        self.assertEqual(len(self.load("flows.json")), 100)
        self.assertEqual(self.state("cap.pcap.rdb"), "incomplete")
        self.assertIn("incomplete", self.extract("--index", "cap.pcap.rdb", "--list").stderr)

    def test_kill_9_under_load__indexes_open_and_those_of_finished_files_are_whole(self):
        generator = self.start("src", lab.binary("live_gen"), "-i", "src0", "--flows", 100, "--size", 250, "--rate", 60000)
        run = self.capture("-q", "-w", "cap.pcap", "--index", "--write-pcap-rotate-mb", 1)
        complete = lambda: [path for path in glob.glob(self.path("*.rdb")) if os.path.exists(f"{path}/flowlane.index") and self.state(path) == "complete"]
        lab.wait_for(lambda: len(complete()) >= 3, "three files are finished")
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()
        generator.stop()
        whole = [self.check(os.path.basename(path)[:-4]) for path in complete()]
        self.assertGreaterEqual(len(whole), 3)
        for path in filter(lambda path: os.path.exists(f"{path}/flowlane.index"), glob.glob(self.path("*.rdb"))):
            listed = self.extract("--index", path, "--list")
            self.assertEqual("its writer was killed" in listed.stderr, path not in complete(), listed.stderr)
            self.assertIn(self.state(path), ("complete", "writing"))


if __name__ == "__main__":
    lab.main()
