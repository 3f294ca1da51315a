#!/usr/bin/env python3
"""The one-way formats, judged by flow-models itself (the public repository piotrjurkiewicz/flow-models, 2.2; needs numpy and nfdump).

By hand, not a test: compare_flow_models.py --flowlane BINARY --flow-models DIRECTORY [CAPTURE...]. Each of its modules reads what
flowlane wrote of a capture that is made here, and of those given; what comes out must be what flowlane says, too.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import flow_formats
import long_capture

KEY = "boojahyoo3vaeToong0Eijee7Ahz3yee"
problems = []


def check(holds, what):
    print(f"{'ok     ' if holds else 'FAILED '} {what}", flush=True)
    if not holds:
        problems.append(what)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def files_of(directory):
    return {name: read(os.path.join(directory, name)) for name in sorted(os.listdir(directory))}


def paths_of(directory):
    return [os.path.join(directory, name) for name in sorted(os.listdir(directory))]


class Tools:
    def __init__(self, binary, repository, folder):
        self.binary, self.repository, self.folder, self.number = binary, repository, folder, 0

    def new_path(self):
        self.number += 1
        return os.path.join(self.folder, f"result-{self.number}")

    def flow_models(self, module, *arguments):
        """Its output file or directory."""
        out = self.new_path()
        environment = {**os.environ, "PYTHONPATH": self.repository}
        run = subprocess.run(
            [sys.executable, "-m", f"flow_models.{module}", "-O", out, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        if run.returncode:
            sys.exit(f"flow_models.{module} {' '.join(arguments)}: {run.stderr.strip()}")
        return out

    def pipe_rows(self, path):
        """Its convert cannot open such a file itself (text mode, split by bytes); its reader can."""
        script = "import sys; from flow_models.lib.io import read_pipe\nfor flow in read_pipe(open(sys.argv[1], 'rb')): print(str(flow)[1:-1])"
        environment = {**os.environ, "PYTHONPATH": self.repository}
        return subprocess.run([sys.executable, "-c", script, path], env=environment, stdout=subprocess.PIPE, check=True).stdout

    def convert(self, to, *arguments):
        out = self.new_path()
        subprocess.run([self.binary, "convert", "--quiet", "--to", to, out, *arguments], check=True)
        return out


def lines(data):
    return sorted(data.splitlines())



def check_convert(tools, paths):
    csv, nfcapd = read(paths["csv-flow"]), paths_of(paths["nfcapd"])
    pieces = read(tools.convert("csv_flow", paths["pipe"]))
    check(read(tools.flow_models("convert", "-i", "csv_flow", paths["csv-flow"])) == csv, "convert of csv_flow: our csv_flow, byte for byte")
    check(read(tools.flow_models("convert", "-i", "binary", *paths_of(paths["binary"]))) == csv, "convert of binary: our csv_flow, byte for byte")
    check(lines(read(tools.flow_models("convert", "-i", "nfcapd", *nfcapd))) == lines(pieces), "convert of nfcapd: the rows of our pipe")
    check(tools.pipe_rows(paths["pipe"]) == pieces, "read_pipe of pipe: the rows of our pipe, in order")
    theirs, ours = tools.flow_models("convert", "-i", "csv_flow", "-o", "binary", paths["csv-flow"]), tools.convert("binary", paths["csv-flow"])
    check(files_of(theirs) == files_of(ours) and len(files_of(ours)) == 21, "convert of csv_flow to binary: 21 files as ours, byte for byte")


def check_hist(tools, paths):
    columns = ("-c", "duration", "-c", "rate", "-c", "aggs")
    for what in flow_formats.HISTOGRAMS:
        ours = read(os.path.join(paths["hist"], f"{what}.csv"))
        theirs = read(tools.flow_models("hist", "-i", "csv_flow", "-b", "12", "-x", what, *columns, paths["csv-flow"]))
        check(theirs == ours, f"hist -b 12 -x {what} of csv_flow: our {what}.csv, byte for byte")
        theirs = read(tools.flow_models("hist", "-i", "binary", "-b", "12", "-x", what, *columns, *paths_of(paths["binary"])))
        check(theirs == ours, f"hist -b 12 -x {what} of binary: the same")
        if what in ("length", "size"):
            theirs = read(tools.flow_models("hist_np", "-b", "12", "-x", what, *paths_of(paths["binary"])))
            check(theirs.splitlines() == [b",".join(line.split(b",")[:5]) for line in ours.splitlines()], f"hist_np -x {what}: our first five columns")


def check_series(tools, paths):
    theirs = tools.new_path()
    os.mkdir(theirs)
    tools.number -= 1  # the same directory is what it is told to write to
    tools.flow_models("series", "-i", "csv_flow", paths["csv-flow"])
    theirs, ours = files_of(theirs), files_of(paths["series"])
    for name, data in ours.items():
        if name.endswith(".flows"):
            check(theirs.get(name) == data, f"series of csv_flow: {name}, byte for byte")
    for what in ("packets", "octets"):
        sums = [sum(int(n) for name, data in files.items() if name.endswith(what) for n in data.split()) for files in (theirs, ours)]
        check(sums[0] == sums[1], f"series of csv_flow: {what} add up to ours ({sums[1]})")


def check_merge(tools, paths, idle, active):
    nfcapd = paths_of(paths["nfcapd"])
    theirs = read(tools.flow_models("merge", "-i", "nfcapd", "-I", str(idle), "-A", str(active), *nfcapd))
    ours = read(tools.convert("csv_flow", "--merge", "--inactive-timeout-s", str(idle), "--active-timeout-s", str(active), *nfcapd))
    check(lines(theirs) == lines(ours), "merge of nfcapd: what convert --merge makes of it")
    check(lines(theirs) == lines(read(paths["csv-flow"])), "merge of nfcapd: our csv_flow")


def check_anonymize(tools, paths):
    key_file = tools.new_path()
    with open(key_file, "w", encoding="ascii") as file:
        file.write(KEY)
    theirs = read(tools.flow_models("anonymize", "-i", "csv_flow", "--key", KEY, paths["csv-flow"]))
    ours = read(tools.convert("csv_flow", "--anonymize", key_file, paths["csv-flow"]))
    check(theirs.splitlines() == [line for line in ours.splitlines() if line.startswith(b"2,")], "anonymize of csv_flow: what convert --anonymize makes")


def check_capture(arguments, capture, idle, active):
    with tempfile.TemporaryDirectory(prefix="flowlane-flow-models-") as folder:
        names = "pipe", "nfcapd", "csv-flow", "binary", "hist", "series"
        paths = {name: os.path.join(folder, name) for name in names}
        exports = [argument for name, path in paths.items() for argument in (f"--export-{name}", path)]
        timeouts = ["--flow-timeout-s", str(idle), "--active-timeout-s", str(active)]
        subprocess.run([arguments.flowlane, "-r", capture, "--quiet", *exports, *timeouts], check=True)
        print(f"== {os.path.basename(capture)}, timeouts of {idle} and {active} s: {read(paths['csv-flow']).count(10)} flows, "
              f"{read(paths['pipe']).count(10)} pieces", flush=True)
        tools = Tools(os.path.abspath(arguments.flowlane), os.path.abspath(arguments.flow_models), folder)
        check_convert(tools, paths)
        check_hist(tools, paths)
        check_series(tools, paths)
        check_merge(tools, paths, idle, active)
        check_anonymize(tools, paths)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flowlane", required=True)
    parser.add_argument("--flow-models", required=True, help="a copy of the repository")
    parser.add_argument("--packets", type=int, default=200000, help="of the capture that is made (default %(default)s)")
    parser.add_argument("captures", nargs="*", help="more captures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flowlane-flow-models-") as folder:
        made = os.path.join(folder, "made.pcap")
        long_capture.make_capture(made, arguments.packets, 2)
        for capture in (made, *arguments.captures):
            for idle, active in ((60, 300), (15, 60)):
                check_capture(arguments, capture, idle, active)
    print(f"{len(problems)} checks failed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
