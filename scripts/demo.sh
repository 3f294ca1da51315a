#!/bin/bash
# The main job, from nothing, on a fresh Debian 12: installs what is missing, builds, makes a capture, replays it over a virtual
# cable and captures it live; then reads it as a file, and compares.
#
#   scripts/demo.sh [DIRECTORY]     where the outputs go; default out/demo
#
# The live part takes root (it makes two network namespaces, and removes them). Where that or XDP is not to be had it is SKIPPED,
# and the file makes the demo.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:-$root/out/demo}
source "$root/scripts/netns.sh"

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

say "1. what is needed (scripts/deps.sh build live)"
"$root/scripts/deps.sh" build live
echo "all there"

say "2. build (cmake --preset release)"
build() {
	cd "$root"
	cmake --preset release
	cmake --build --preset release --target flowlane make_capture live_replay
}
if ! (build) >"$out/build.log" 2>&1; then
	tail -25 "$out/build.log" >&2
	die "the build failed; all of its output is in $out/build.log"
fi
echo "build/release/flowlane, build/release/make_capture, build/release/live_replay"
PATH=$root/build/release:$PATH

cd "$out"
rm -f demo.pcap copy.pcap flows.json flows.csv summary.json live.pcap live.json live.csv live-summary.json

say "3. a capture of our own (make_capture --demo demo.pcap)"
make_capture --demo demo.pcap
cat <<'END'
  HTTP and bulk TCP with known round trip times (servers 10, 15, 20 ms behind the tap; bulk 30, 50, 25, 40 ms), lost segments (seen
  once or twice), reordered ones; a scan of 60 ports from 198.51.100.99; 300 SYNs of 120 sources to 203.0.113.80:443; DNS, ping,
  IPv6, VLAN and QinQ, fragments, GRE and VXLAN, ARP; one packet cut inside its IP header, one with a broken TCP header.
END

net=flt-$$-demo sensor=
live_end() {
	[[ -z $sensor ]] || kill -KILL "$sensor" 2>/dev/null || true
	netns_down "$net"
}

# The sensor runs on one end of a virtual cable while the capture is sent into the other, with the timing of the capture.
live() {
	local job=(flowlane -i mon0 -w live.pcap --export-json live.json --export-csv live.csv --stats --top-flows 10
		--summary-json live-summary.json)

	trap live_end EXIT
	trap 'exit 130' INT TERM
	netns_up "$net" || die "cannot make the namespaces"
	echo "two network namespaces with a veth pair between them: $net-src (src0) ===== (mon0) $net-mon"
	echo "in $net-mon: ${job[*]}"
	ip netns exec "$net-mon" "${job[@]}" &
	sensor=$!
	if ! netns_attached "$net"; then
		live_end
		trap - EXIT INT TERM
		echo "SKIPPED: no live capture here; flowlane's message is above"
		return 77
	fi
	echo "in $net-src: live_replay demo.pcap -i src0    (11 seconds, as in the capture)"
	ip netns exec "$net-src" live_replay demo.pcap -i src0 --cpus 0 || die "live_replay failed; its message is above"
	kill -INT "$sensor"
	wait "$sensor" || die "flowlane failed (exit code $?); its message is above"
	sensor=
	netns_down "$net"
	trap - EXIT INT TERM
}

say "4. live: the capture is replayed over a virtual cable, and captured by XDP and AF_XDP"
is_live=1
netns_check && live || is_live=
if [[ -z $is_live ]]; then
	[[ $EUID -eq 0 ]] || echo "  'sudo scripts/demo.sh' shows it."
	echo "  So the file makes this demo:"
fi

job=(flowlane -r demo.pcap -w copy.pcap --export-json flows.json --export-csv flows.csv --summary-json summary.json)
if [[ -n $is_live ]]; then
	job+=(--quiet)
else
	job+=(--stats --top-flows 10)
fi
say "5. the same from the file: ${job[*]}"
"${job[@]}" || die "flowlane failed (exit code $?); its message is above"

for output in copy.pcap flows.json flows.csv summary.json; do
	[[ -s $output ]] || die "flowlane did not write $output"
done
cmp -s demo.pcap copy.pcap || die "copy.pcap differs from demo.pcap, and should not"
echo "copy.pcap and demo.pcap are the same, byte for byte."

# Times of the wire are not those of the file; everything else is.
if [[ -n $is_live ]]; then
	python3 - <<'END' || die "the live outputs differ from those of the file, and should not"
import csv, json, struct, sys

def packets(name):
    data, at, found = open(name, "rb").read(), 24, []
    while at < len(data):
        length, = struct.unpack_from("<I", data, at + 8)
        found.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return found

def flows(name):
    keep = "protocol endpoint_a_ip endpoint_a_port endpoint_b_ip endpoint_b_port packets_total bytes_total tcp_state client retransmissions out_of_order"
    return sorted([row[column] for column in keep.split()] for row in csv.DictReader(open(name)))

sent, live = packets("demo.pcap"), packets("live.pcap")
ledger = json.load(open("live-summary.json"))
lost = sum(queue[loss] for queue in ledger["capture"]["queues"] for loss in ("rx_ring_full", "fill_ring_empty", "no_socket", "refused"))
if lost:
    print(f"{lost} of {len(sent)} packets were lost at the interface, and counted: this machine was busy. Run it again to compare.")
    sys.exit(len(sent) != len(live) + lost)
same_packets, same_flows = sent == live, flows("flows.csv") == flows("live.csv")
print(f"live.pcap and demo.pcap hold the same {len(live)} packets in the same order." if same_packets else "live.pcap and demo.pcap differ!")
print(f"live.csv and flows.csv hold the same {len(flows('live.csv'))} flows with the same packets, bytes, states, losses." if same_flows
      else "live.csv and flows.csv differ!")
sys.exit(not (same_packets and same_flows))
END
fi
prefix=flows
[[ -z $is_live ]] || prefix=live

say "6. the flow table: of $(($(wc -l <"$prefix.csv") - 1)) flows in $prefix.csv, the four largest of each protocol and TCP state"
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
}' "$prefix.csv"

say "7. the outputs, in $shown"
row() { printf '  %-17s %9d bytes  %-42s %s\n' "$1" "$(stat -c %s "$1")" "$2" "$3"; }
if [[ -n $is_live ]]; then
	row live.pcap "the packets, captured live" "tcpdump -nr $shown/live.pcap | less"
	row live.json "all TCP and UDP flows, live" "python3 -m json.tool $shown/live.json | less"
	row live.csv "the same as a table" "column -s, -t $shown/live.csv | less -S"
	row live-summary.json "the ledger, from the wire on" "python3 -m json.tool $shown/live-summary.json"
fi
row demo.pcap "the capture" "tcpdump -nr $shown/demo.pcap | less"
row copy.pcap "the same packets, written by flowlane" "cmp $shown/demo.pcap $shown/copy.pcap"
row flows.json "all TCP and UDP flows of the file" "python3 -m json.tool $shown/flows.json | less"
row flows.csv "the same as a table" "column -s, -t $shown/flows.csv | less -S"
row summary.json "the ledger: each packet counted once" "python3 -m json.tool $shown/summary.json"
