#!/usr/bin/env python3
"""Judges the audit records of real captures by protoc and by tshark.

    check_ncap.py --flowlane build/release/flowlane [--every N] [--jobs N] [--no-tshark] [FILE...]

  * every file of every type, in both schemas: the frames are whole, the header names the type, and `protoc --decode` takes each record
  * gzip -t takes the compressed files, and they hold the same bytes
  * per type, the records are as many as tshark's headers, and their key fields are the same
  * deviations must be those of ncap_exceptions.tsv

Without FILE: the captures of $FLOWLANE_CORPUS, or of ../shared/corpus beside the repository. Exit code 0: all of it holds; 1: not;
77: SKIPPED, and why.
"""

import argparse
import functools
import importlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections import Counter, defaultdict

import exceptions
import ncap_tshark
from corpus import REPOSITORY, SKIPPED, corpus_every, corpus_files
from ncap_frames import frames

DEBIAN_PYTHON = "/usr/bin/python3"
try:
    import google.protobuf  # noqa: F401
except ImportError:  # Debian's package is for Debian's python, and this is another one
    if os.path.exists(DEBIAN_PYTHON) and os.path.realpath(sys.executable) != os.path.realpath(DEBIAN_PYTHON):
        os.execv(DEBIAN_PYTHON, [DEBIAN_PYTHON, *sys.argv])
    print("SKIPPED: there is no protobuf for python (Debian: python3-protobuf)")
    sys.exit(SKIPPED)

PROTO = os.path.join(REPOSITORY, "userspace", "ncap")
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ncap_exceptions.tsv")
PACKAGES = {"current": ("audit", "types"), "legacy": ("legacy", "legacy")}


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_records(binary, path, folder, *options):
    run = subprocess.run(
        [binary, "-q", "-r", path, "--flow-timeout-s", "0", "--ncap", folder, *options],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120,
    )  # fmt: skip
    text = run.stderr.decode(errors="replace")
    if run.returncode not in (0, 1, 2) or "Sanitizer" in text or "runtime error:" in text:
        raise ValueError(f"exit code {run.returncode}: {text[:2000]}")


def read_folder(folder, module):
    """{type: [record bytes]}; headers are checked."""
    records = {}
    for name in sorted(os.listdir(folder)):
        kind = name.removesuffix(".ncap")
        with open(os.path.join(folder, name), "rb") as f:
            all_frames = list(frames(f.read()))
        header = module.Header.FromString(all_frames[0])
        if module.Type.Name(header.Type) != "NC_" + kind:
            raise ValueError(f"{name}: the header says {header.Type}")
        if len(all_frames) < 2:
            raise ValueError(f"{name}: no records")
        records[kind] = all_frames[1:]
    return records


def check_gzip(binary, path, scratch, plain):
    """The compressed files are good, and hold the same."""
    folder = os.path.join(scratch, "gzip")
    write_records(binary, path, folder)
    names = sorted(os.listdir(folder))
    if names != sorted(name + ".gz" for name in os.listdir(plain)):
        raise ValueError(f"gzip: other files: {names}")
    for name in names:
        packed = os.path.join(folder, name)
        subprocess.run(["gzip", "-t", packed], check=True, capture_output=True)
        data = subprocess.run(["gzip", "-dc", packed], check=True, capture_output=True).stdout
        with open(os.path.join(plain, name.removesuffix(".gz")), "rb") as f:
            if f.read() != data:
                raise ValueError(f"{name}: not the bytes of the plain file")


def check_one(job, binary, modules, tshark):
    path, name = job
    sys.path.insert(0, modules)
    found = {"name": name, "errors": [], "mismatches": [], "records": {}, "counts": Counter()}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            for schema, (proto, _) in PACKAGES.items():
                module = importlib.import_module(proto + "_pb2")
                folder = os.path.join(scratch, schema)
                write_records(binary, path, folder, "--ncap-compress", "none", "--ncap-schema", schema, "--ncap-payload")
                found["records"][schema] = read_folder(folder, module) if os.path.isdir(folder) else {}
            write_records(binary, path, os.path.join(scratch, "plain"), "--ncap-compress", "none")
            if os.path.isdir(os.path.join(scratch, "plain")):
                check_gzip(binary, path, scratch, os.path.join(scratch, "plain"))
            if tshark:
                module = importlib.import_module("audit_pb2")
                found["mismatches"], found["counts"] = ncap_tshark.compare(path, found["records"]["current"], module)
    except Exception:  # a wrong file must not hide the results of the others
        found["errors"].append(traceback.format_exc().strip().splitlines()[-1])
    return found


def check_protoc(schema, kind, records, scratch):
    """One call for all records of a type: they become the members of a message. None, or what protoc complains about."""
    proto, package = PACKAGES[schema]
    wrapper = os.path.join(scratch, "all.proto")
    with open(wrapper, "w", encoding="utf-8") as f:
        f.write(f'syntax = "proto3"; import "{proto}.proto"; message All {{ repeated {package}.{kind} r = 1; }}\n')
    data = b"".join(b"\x0a" + varint(len(record)) + record for record in records)
    run = subprocess.run(["protoc", "-I", PROTO, "-I", scratch, "--decode=All", "all.proto"], input=data, capture_output=True)
    lines = run.stdout.decode(errors="surrogateescape").splitlines()
    unknown = [line for line in lines if line.startswith("  ") and line.strip()[:1].isdigit()]
    if run.returncode or run.stderr:
        return run.stderr.decode(errors="replace")[:300]
    if sum(line == "r {" for line in lines) != len(records):
        return "protoc sees another number of records"
    return f"fields that the message does not have: {unknown[0]}" if unknown else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--flowlane", required=True)
    parser.add_argument("--every", type=int, default=corpus_every())
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-tshark", action="store_true")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    for tool in ("protoc", "tshark", "gzip"):
        if not shutil.which(tool):
            print(f"SKIPPED: there is no {tool}")
            return SKIPPED
    help_text = subprocess.run([options.flowlane, "dump", "--help"], capture_output=True, check=False).stdout
    if b"flowlane dump" not in help_text:
        print("SKIPPED: this flowlane was built without audit records")
        return SKIPPED
    jobs, reason = corpus_files(options.files, options.every)
    if reason:
        print(f"SKIPPED: {reason}")
        return SKIPPED
    with tempfile.TemporaryDirectory() as modules:
        subprocess.run(["protoc", "-I", PROTO, f"--python_out={modules}", "audit.proto", "legacy.proto"], check=True)
        work = functools.partial(
            check_one, binary=os.path.abspath(options.flowlane), modules=modules, tshark=not options.no_tshark
        )
        with multiprocessing.Pool(options.jobs) as pool:
            results = pool.map(work, jobs, chunksize=4)
        return report(results, not options.files and options.every == 1, modules)


def report(results, whole, scratch):
    failures = [f"{r['name']}: {error}" for r in results for error in r["errors"]]
    everything = defaultdict(list)
    for result in results:
        for schema, kinds in result["records"].items():
            for kind, records in kinds.items():
                everything[schema, kind] += records
    for (schema, kind), records in sorted(everything.items()):
        complaint = check_protoc(schema, kind, records, scratch)
        print(f"{schema:8} {kind:28} {len(records):8} records{'' if not complaint else ': ' + complaint}")
        if complaint:
            failures.append(f"protoc: {schema} {kind}: {complaint}")
    judge = exceptions.Judge(exceptions.read_exceptions(TABLE))
    compared = sum((r["counts"] for r in results), Counter())
    explained = Counter()
    for result in results:
        for kind, what in result["mismatches"]:
            if judge.explain(result["name"], kind):
                explained[kind] += 1
            else:
                failures.append(f"{result['name']}: {kind}: {what}")
    for row, seen in judge.wrong_rows([r["name"] for r in results], whole):
        failures.append(f"ncap_exceptions.tsv: {row.pattern} {row.check}: {row.number} deviations expected, {seen} seen")
    for kind, number in sorted(compared.items()):
        print(f"tshark   {kind:28} {number:8} records compared, {explained[kind]} captures deviate as named")
    for failure in failures[:200]:
        print("FAILED:", failure)
    print(f"{len(results)} captures, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
