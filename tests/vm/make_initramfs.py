#!/usr/bin/env python3
"""Packs the guest's root file system: busybox, kernel modules, the guest's scripts, and programs with the libraries they need.

    make_initramfs.py TARGET --busybox FILE --modules DIR --guest DIR --programs FILE...

Writes a cpio archive (format newc, as the kernel wants it; gzip'ed), so that neither root nor device nodes are needed.
"""
import argparse
import gzip
import pathlib
import re
import stat
import subprocess
import sys


class Archive:
    def __init__(self):
        self.names, self.data, self.inode = set(), bytearray(), 0

    def add(self, name, mode, content=b""):
        name = name.strip("/")
        parent = name.rpartition("/")[0]
        if parent and parent not in self.names:
            self.add(parent, stat.S_IFDIR | 0o755)
        if name in self.names:
            return
        self.names.add(name)
        self.append(name, mode, content)

    def append(self, name, mode, content):
        self.inode += 1
        encoded = name.encode() + b"\0"
        fields = [self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
        self.data += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.pad()
        self.data += content
        self.pad()

    def pad(self):
        self.data += bytes(-len(self.data) % 4)

    def directory(self, name):
        self.add(name, stat.S_IFDIR | 0o755)

    def link(self, name, target):
        self.add(name, stat.S_IFLNK | 0o777, target.encode())

    def file(self, name, path, mode=0o755):
        self.add(name, stat.S_IFREG | mode, pathlib.Path(path).read_bytes())

    def finish(self):
        self.append("TRAILER!!!", 0, b"")
        return gzip.compress(self.data, 1)


def libraries(program):
    """What the loader would map, by ldd: each under the path at which it is looked for."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True)
    if listing.returncode:
        return []  # a static program, or a script
    missing = re.findall(r"(\S+) => not found", listing.stdout)
    if missing:
        sys.exit(f"make_initramfs.py: {program} needs {', '.join(missing)}, which this machine does not have")
    return re.findall(r"(/\S+) \(0x", listing.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--busybox", required=True)
    parser.add_argument("--modules", required=True)
    parser.add_argument("--guest", required=True, help="directory: its files go to /, `init` among them")
    parser.add_argument("--programs", nargs="*", default=[])
    options = parser.parse_args()

    archive = Archive()
    for name in ["proc", "sys", "dev", "tmp", "run", "out", "etc", "var", "root"]:
        archive.directory(name)
    archive.link("sbin", "bin")
    archive.file("bin/busybox", options.busybox)
    archive.link("bin/sh", "busybox")
    for path in sorted(pathlib.Path(options.modules).iterdir()):
        archive.file(f"modules/{path.name}", path, 0o644)
    for path in sorted(pathlib.Path(options.guest).iterdir()):
        archive.file(path.name, path)
    for program in options.programs:
        archive.file(f"bin/{pathlib.Path(program).name}", program)
        for library in libraries(program):
            archive.file(library, library)
    pathlib.Path(options.target).write_bytes(archive.finish())


main()
