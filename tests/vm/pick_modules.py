#!/usr/bin/env python3
"""Picks kernel modules and all that they depend on, unpacked, numbered in the order to load them.

    pick_modules.py TREE TARGET NAME...

There is no modules.dep in Debian's packages (depmod writes it at installation), so the dependencies are read from the modules.
A NAME with a question mark behind it may be missing: some kernels have it built in.
"""
import lzma
import pathlib
import re
import sys


def unpack(path):
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".ko":
        return data
    sys.exit(f"pick_modules.py: {path.name} is compressed in a way that this script does not know")


def name_of(path):
    return path.name.split(".ko")[0].replace("-", "_")


def main():
    tree, target, names = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    files = {name_of(path): path for path in tree.rglob("*.ko*")}
    order = {}

    def pick(name):
        if name in order:
            return
        if name not in files:
            sys.exit(f"pick_modules.py: no module {name}")
        data = unpack(files[name])
        depends = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in depends.group(1).decode().split(",") if depends else []:
            if other:
                pick(other.replace("-", "_"))
        order[name] = data

    for name in names:
        if not name.endswith("?"):
            pick(name)
        elif name[:-1] in files:
            pick(name[:-1])
    target.mkdir(parents=True)
    for number, (name, data) in enumerate(order.items()):
        (target / f"{number:02}-{name}.ko").write_bytes(data)


main()
