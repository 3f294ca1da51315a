#!/bin/bash
# Installs the Debian 12 packages that are missing, and says which.
#
#   scripts/deps.sh build           what compiles flowlane and its unit tests
#   scripts/deps.sh build tests     ... and runs all tests
#   scripts/deps.sh build bench     ... and runs the benchmarks
#   scripts/deps.sh build live      ... and captures live in network namespaces, as the demo does
#
# Works as root, or through sudo. With FLOWLANE_SKIP_DEPS=1 it does nothing: for systems without apt-get.
set -euo pipefail

build=(gcc libc6-dev make cmake pkg-config python3 libpcap-dev zlib1g-dev libcyaml-dev libyaml-dev liburing-dev libcmocka-dev liblz4-dev libbz2-dev nettle-dev clang bpftool libbpf-dev libxdp-dev libelf-dev libmicrohttpd-dev librocksdb-dev libprotobuf-c-dev protobuf-c-compiler libisal-dev libgrpc-dev)
tests=(git ca-certificates netbase python3-pkg-resources tshark wireshark-common tcpdump python3 clang clang-format libclang-rt-14-dev file dpkg-dev gzip iproute2 ethtool nfdump rocksdb-tools protobuf-compiler python3-protobuf python3-grpcio python3-grpc-tools openssl)
bench=(tcpdump softflowd nfdump python3 iproute2)
live=(iproute2)

if [[ ${FLOWLANE_SKIP_DEPS:-} == 1 ]]; then
	exit 0
fi
if [[ $# -eq 0 ]]; then
	echo "deps.sh: say what for: build, tests, bench, live (one or more)" >&2
	exit 1
fi

wanted=()
for purpose in "$@"; do
	case $purpose in
	build) wanted+=("${build[@]}") ;;
	tests) wanted+=("${tests[@]}") ;;
	bench) wanted+=("${bench[@]}") ;;
	live) wanted+=("${live[@]}") ;;
	*)
		echo "deps.sh: '$purpose' is not one of build, tests, bench, live" >&2
		exit 1
		;;
	esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	echo "deps.sh: no apt-get here. Install what these Debian packages hold, then run again with FLOWLANE_SKIP_DEPS=1:" >&2
	echo "  ${wanted[*]}" >&2
	exit 2
fi

missing=()
for package in "${wanted[@]}"; do
	if [[ " ${missing[*]:-} " == *" $package "* ]]; then
		continue
	fi
	status=$(dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null || true)
	if [[ $'\n'$status$'\n' != *$'\ninstalled\n'* ]]; then
		missing+=("$package")
	fi
done
if [[ ${#missing[@]} -eq 0 ]]; then
	exit 0
fi

as_root=()
if [[ $EUID -ne 0 ]]; then
	if ! command -v sudo >/dev/null; then
		echo "deps.sh: these packages are missing, and installing them needs root (there is no sudo here): ${missing[*]}" >&2
		echo "deps.sh: as root, run: apt-get install ${missing[*]}" >&2
		exit 2
	fi
	as_root=(sudo)
fi

echo "deps.sh: installing ${missing[*]} (apt-get${as_root:+ through sudo})"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	tail -20 "$log" >&2
	echo "deps.sh: apt-get failed (its last lines are above); is there a network, and is this Debian 12?" >&2
	exit 2
fi
