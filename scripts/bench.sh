#!/bin/bash
# The benchmarks: the core per packet beside its floor, the outputs per record, then file to flows beside tcpdump, softflowd and
# nfpcapd; and live capture beside a bare receiver, on a veth pair.
#
#   scripts/bench.sh            all sizes, some minutes; needs 6 GB of memory and 4 GB of disk
#   scripts/bench.sh --quick    small sizes, two minutes: shows that it works, numbers mean little
#   scripts/bench.sh --live     only live capture (also with --quick); needs root
#   scripts/bench.sh --pktgen IF [RECEIVE_IF [COUNT]]
#                               only this: the kernel's pktgen sends COUNT (10 million) frames out of IF; if RECEIVE_IF, at the
#                               other end of the cable, is given, flowlane captures there, and the counts are compared
#
# JSON lines on standard output, tables and progress on standard error. Load files live in TMPDIR (else /tmp) while it runs.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
flows=1000000 packets=10000000 rounds=5 records=1000000
core=() live_only= live=() pktgen=()

die() {
	echo "bench.sh: $*" >&2
	exit 2
}
say() { printf '\n== %s\n' "$*" >&2; }

while [[ $# -gt 0 ]]; do
	case $1 in
	--quick)
		flows=50000 packets=500000 rounds=2 records=50000
		core=(--case "10k,100k" --packets 2M --rounds 2)
		live=(--short)
		;;
	--live) live_only=1 ;;
	--pktgen)
		[[ $# -gt 1 ]] || die "--pktgen: out of which interface?"
		pktgen=("${@:2}")
		break
		;;
	*)
		echo "Usage: scripts/bench.sh [--quick] [--live] | --pktgen IF [RECEIVE_IF [COUNT]]" >&2
		exit 1
		;;
	esac
	shift
done

"$root/scripts/deps.sh" build bench >&2
directory=$(mktemp -d "${TMPDIR:-/tmp}/flowlane-bench.XXXXXX") || die "cannot make a directory in ${TMPDIR:-/tmp}; set TMPDIR"
trap 'rm -rf "$directory"' EXIT

say "build (cmake --preset release)"
build() {
	cd "$root"
	cmake --preset release
	cmake --build --preset release --target flowlane make_capture bench_core bench_sinks live_gen live_floor
}
(build) >"$directory/build.log" 2>&1 || {
	tail -25 "$directory/build.log" >&2
	die "the build failed; its last lines are above"
}
PATH=$root/build/release:$PATH

say "machine"
governor=/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor
{
	sed -n 's/^model name[^:]*: /cpu       /p' /proc/cpuinfo | head -1
	echo "cores     $(nproc)"
	echo "memory    $(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
	echo "kernel    $(uname -r)"
	echo "governor  $(cat "$governor" 2>/dev/null || echo 'none visible (virtual machine?)')"
	echo "THP       $(cat /sys/kernel/mm/transparent_hugepage/enabled)"
	echo "load      $(cut -d' ' -f1-3 /proc/loadavg) (other work on this machine disturbs the numbers)"
} >&2

if [[ ${#pktgen[@]} -gt 0 ]]; then
	say "pktgen: ${pktgen[*]}"
	"$root/bench/live/pktgen.sh" "$root/build/release/flowlane" "${pktgen[@]}"
	exit
fi

bench_live() {
	say "live: packets per second beside a bare AF_XDP receiver, on a veth pair"
	python3 "$root/bench/live/bench_live.py" "$root/build/release" ${live[@]+"${live[@]}"}
}
if [[ -n $live_only ]]; then
	bench_live
	exit
fi

# 10 M flows want 2.6 GB of frames, 3.2 GB of flows, 1 GB for the floor; swapping would measure the disk.
memory_kb=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
if [[ ${#core[@]} -eq 0 && $memory_kb -lt 7500000 ]]; then
	echo "SKIPPED 10 M flows: less than 7.5 GB of memory are free" >&2
	core=(--case "10k,100k,1M")
fi

say "core: ns per packet beside the floor (bench_core ${core[*]})"
bench_core "${core[@]}" >"$directory/core.json"
cat "$directory/core.json"
python3 - "$directory/core.json" >&2 <<'END'
import json, sys
print(f"\n{'flows':>9} {'packets':>9} {'ns/packet':>10} {'floor':>7} {'ratio':>6} {'decode':>7} {'set-up':>7} {'floor':>7} {'expiry/flow':>12} {'bytes/flow':>11} {'TCP':>5} {'UDP':>5}")
for line in map(json.loads, open(sys.argv[1])):
    if line["bench"] == "core":
        print(f"{line['flows']:9} {line['packets']:9} {line['ns_per_packet']:10.1f} {line['floor_ns_per_packet']:7.1f} {line['ratio']:6.2f} "
              f"{line['decode_ns_per_packet']:7.1f} {line['ns_per_packet_setup']:7.1f} {line['floor_ns_per_packet_setup']:7.1f} "
              f"{line['expire_ns_per_flow']:12.1f} {line['bytes_per_flow']:11.0f} {line['bytes_per_tcp_flow']:5} {line['bytes_per_udp_flow']:5}")
END

say "flow outputs: ns per record ($records records)"
bench_sinks "$records" "$directory" >"$directory/sinks.json"
cat "$directory/sinks.json"

say "file to flows: $packets packets of 64 bytes, $flows flows, page cache warm"
make_capture --flows "$flows" --packets "$packets" "$directory/load.pcap" >&2
cat "$directory/load.pcap" >/dev/null
mkdir "$directory/out"
python3 "$root/bench/bench_files.py" "$root/build/release/flowlane" "$directory/load.pcap" "$packets" "$flows" "$rounds" "$directory/out"

bench_live
