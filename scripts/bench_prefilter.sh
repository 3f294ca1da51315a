#!/bin/bash
# What selection in XDP costs and saves (docs/prefilter.md): an expression that rejects 99 % beside a bare XDP_DROP, one that accepts
# all beside none, the lane's CPU time with --flow-cutoff beside without, all on a veth pair in namespaces of its own; and how long the
# program itself takes, with the expression linked in and as a program in front that calls it (tail call).
#
#   scripts/bench_prefilter.sh [BUILD_DIRECTORY [OPTION...]]     default build/release; options are those of bench/live/bench_prefilter.py
#
# Needs root and two CPUs, and a minute. JSON lines on standard output, a table on standard error.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${1:-$root/build/release}
[[ $# -eq 0 ]] || shift
for tool in flowlane live_gen live_floor live_filter; do
	[[ -x $build/$tool ]] || {
		echo "bench_prefilter.sh: there is no $build/$tool; build it first: cmake --preset release && cmake --build --preset release" >&2
		exit 2
	}
done
"$build/live_filter"
exec python3 -B "$root/bench/live/bench_prefilter.py" "$build" "$@"
