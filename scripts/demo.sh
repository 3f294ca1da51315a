#!/bin/bash
# The main job, from nothing, on a fresh Debian 12: installs what is missing, builds, makes a capture, and turns it into flows.
#
#   scripts/demo.sh [DIRECTORY]     where the outputs go; default out/demo
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:-$root/out/demo}

say() { printf '\n== %s\n' "$*"; }
die() {
	echo "demo.sh: $*" >&2
	exit 2
}

if [[ $# -gt 1 || ${1:-} == -* ]]; then
	echo "Usage: scripts/demo.sh [DIRECTORY]" >&2
	exit 1
fi
mkdir -p "$out" || die "cannot make the directory '$out'; give another one: scripts/demo.sh DIRECTORY"
out=$(cd "$out" && pwd)
shown=$out
if [[ $out == "$PWD"/* ]]; then
	shown=${out#"$PWD"/}
fi

say "1. what is needed (scripts/deps.sh build)"
"$root/scripts/deps.sh" build
echo "all there"

say "2. build (cmake --preset release)"
build() {
	cd "$root"
	cmake --preset release
	cmake --build --preset release --target flowlane make_capture
}
if ! (build) >"$out/build.log" 2>&1; then
	tail -25 "$out/build.log" >&2
	die "the build failed; all of its output is in $out/build.log"
fi
echo "build/release/flowlane, build/release/make_capture"
PATH=$root/build/release:$PATH

cd "$out"
rm -f demo.pcap copy.pcap flows.json flows.csv summary.json

say "3. a capture of our own (make_capture --demo demo.pcap)"
make_capture --demo demo.pcap
cat <<'END'
  HTTP and bulk TCP with known round trip times (servers 10, 15, 20 ms behind the tap; bulk 30, 50, 25, 40 ms), lost segments (seen
  once or twice), reordered ones; a scan of 60 ports from 198.51.100.99; 300 SYNs of 120 sources to 203.0.113.80:443; DNS, ping,
  IPv6, VLAN and QinQ, fragments, GRE and VXLAN, ARP; one packet cut inside its IP header, one with a broken TCP header.
END

job=(flowlane -r demo.pcap -w copy.pcap --export-json flows.json --export-csv flows.csv --stats --top-flows 10 --summary-json summary.json)
say "4. the main job: ${job[*]}"
"${job[@]}" || die "flowlane failed (exit code $?); its message is above"

for output in copy.pcap flows.json flows.csv summary.json; do
	[[ -s $output ]] || die "flowlane did not write $output"
done

say "5. the flow table: of $(($(wc -l <flows.csv) - 1)) flows in flows.csv, the four largest of each protocol and TCP state"
awk -F, '
function end(which, ip) {
	ip = $at["endpoint_" which "_ip"]
	return (ip ~ /:/ ? "[" ip "]" : ip) ":" $at["endpoint_" which "_port"]
}
function value(name) { return $at[name] == "" ? "-" : $at[name] }
NR == 1 {
	for (i = 1; i <= NF; i++)
		at[$i] = i
	printf "%-5s %-11s %-23s %-21s %7s %7s %-6s %7s %5s %10s\n", "proto", "state", "A", "B", "packets", "bytes", "client", "retrans", "ooo", "rtt_min_ms"
	next
}
seen[value("protocol") value("tcp_state")]++ < 4 {
	printf "%-5s %-11s %-23s %-21s %7d %7d %-6s %7d %5d %10s\n", value("protocol"), value("tcp_state"), end("a"), end("b"),
		value("packets_total"), value("bytes_total"), value("client"), value("retransmissions"), value("out_of_order"), value("rtt_min_ms")
}' flows.csv

say "6. the outputs, in $shown"
row() { printf '  %-13s %9d bytes  %-42s %s\n' "$1" "$(stat -c %s "$1")" "$2" "$3"; }
row demo.pcap "the capture" "tcpdump -nr $shown/demo.pcap | less"
row copy.pcap "the same packets, written by flowlane" "cmp $shown/demo.pcap $shown/copy.pcap"
row flows.json "all TCP and UDP flows" "python3 -m json.tool $shown/flows.json | less"
row flows.csv "the same as a table" "column -s, -t $shown/flows.csv | less -S"
row summary.json "the ledger: each packet counted once" "python3 -m json.tool $shown/summary.json"
if cmp -s demo.pcap copy.pcap; then
	echo "copy.pcap and demo.pcap are the same, byte for byte."
else
	die "copy.pcap differs from demo.pcap, and should not"
fi
