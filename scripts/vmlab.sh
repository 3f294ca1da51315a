#!/bin/bash
# flowlane on a real driver: boots a VM with two igb NICs back to back, pktgen on one, flowlane in zero-copy mode on the other with
# two RSS queues, and checks what came of it. Nothing is installed, and no network of this machine is touched.
#
#   scripts/vmlab.sh                                  builds flowlane (preset release), runs tests/vm/guest/run.sh in the VM
#   scripts/vmlab.sh --flowlane FILE                  takes this program
#   scripts/vmlab.sh --script FILE [--program FILE]...   runs a script of your own in the VM, and checks nothing
#
#   --out DIR         where the guest's files and console.log go; default build/vmlab
#   --timeout SECS    for the VM; default 300
#
# Downloads (190 MB, 120 MB kept) stay in $FLOWLANE_VM_CACHE, default build/vm-cache. One line 'ok ...' or 'FAILED ...' per check.
# Exit code 0: all ok; 1: usage; 2: a check failed, or the VM did; 77: cannot be had here, the last line says "SKIPPED: why".
# How it works and how to look into it: docs/vmlab.md
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${FLOWLANE_VM_CACHE:-$root/build/vm-cache}
out=$root/build/vmlab flowlane='' script='' timeout=300 programs=()

die() {
	echo "vmlab.sh: $*" >&2
	exit 2
}
skip() {
	echo "SKIPPED: $*"
	exit 77
}
usage() {
	echo "Usage: scripts/vmlab.sh [--flowlane FILE] [--script FILE] [--program FILE]... [--out DIR] [--timeout SECS]" >&2
	exit 1
}

while [[ $# -gt 0 ]]; do
	[[ $# -ge 2 ]] || usage
	case $1 in
	--flowlane) flowlane=$2 ;;
	--script) script=$2 ;;
	--program) programs+=("$2") ;;
	--out) out=$2 ;;
	--timeout) timeout=$2 ;;
	*) usage ;;
	esac
	shift 2
done
for file in ${flowlane:+"$flowlane"} ${script:+"$script"} ${programs[@]:+"${programs[@]}"}; do
	[[ -r $file ]] || {
		echo "vmlab.sh: cannot read '$file'" >&2
		exit 1
	}
done
[[ $timeout =~ ^[0-9]+$ ]] || usage

for tool in ip ethtool ss; do
	path=$(command -v $tool || true)
	[[ -n $path ]] || skip "$tool is not here, and the guest needs it (apt-get install iproute2 ethtool)"
	programs+=("$path")
done

if [[ -z $flowlane && -z $script ]]; then
	"$root/scripts/deps.sh" build
	build() {
		cd "$root"
		cmake --preset release && cmake --build --preset release --target flowlane
	}
	mkdir -p "$root/build"
	(build) >"$root/build/vmlab-build.log" 2>&1 || die "the build failed, see build/vmlab-build.log"
	flowlane=$root/build/release/flowlane
fi
if [[ -n $flowlane ]]; then
	programs+=("$flowlane")
fi

started=$SECONDS
"$root/tests/vm/fetch.sh" "$cache" || exit
lab=$cache/lab
echo "downloads ready after $((SECONDS - started)) s ($cache)"

mkdir -p "$out" || die "cannot make the directory '$out'; give another one with --out"
out=$(cd "$out" && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/flowlane-vm.XXXXXX") || die "cannot make a directory in ${TMPDIR:-/tmp}; set TMPDIR"
vm=
finish() {
	if [[ -n $vm ]]; then
		kill "$vm" 2>/dev/null || true
	fi
	rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 2' INT TERM

mkdir "$scratch/guest"
cp "$root"/tests/vm/guest/* "$scratch/guest/"
if [[ -n $script ]]; then
	cp "$script" "$scratch/guest/run.sh"
fi
python3 "$root/tests/vm/make_initramfs.py" "$scratch/initramfs.gz" --busybox "$lab/root/bin/busybox" --modules "$lab/modules" \
	--guest "$scratch/guest" --programs "${programs[@]}" || die "cannot make the initramfs"

# What is unpacked runs in place: its libraries, modules and firmware are found by these.
qemu=(qemu-system-x86_64)
if [[ -x $lab/root/usr/bin/qemu-system-x86_64 ]]; then
	libraries=usr/lib/x86_64-linux-gnu
	qemu=(env "LD_LIBRARY_PATH=$lab/root/$libraries:$lab/root/lib/x86_64-linux-gnu" "QEMU_MODULE_DIR=$lab/root/$libraries/qemu"
		"$lab/root/usr/bin/qemu-system-x86_64" -L "$lab/root/usr/share/qemu" -L "$lab/root/usr/share/seabios")
fi
"${qemu[@]}" -device help >"$scratch/devices" 2>&1 ||
	skip "QEMU does not run here: $(tail -n 1 "$scratch/devices") (remove $cache to fetch it again)"
grep -q '"igb"' "$scratch/devices" || skip "this QEMU has no igb device"

# The guest writes its results, as a tar archive, onto a disk that is a file here.
truncate -s 256M "$scratch/results"
machine=(-accel "tcg,thread=multi" -cpu max -M q35 -smp 2 -m 2048 -nodefaults -no-user-config -no-reboot -display none -monitor none
	-serial stdio -drive "file=$scratch/results,format=raw,if=virtio")
for nic in 0 1; do
	machine+=(-netdev "hubport,id=net$nic,hubid=0" -device "pcie-root-port,id=port$nic,chassis=$nic,slot=$nic"
		-device "igb,netdev=net$nic,bus=port$nic,mac=02:00:00:00:00:0$nic,romfile=")
done

started=$SECONDS
timeout --kill-after=5 "$timeout" "${qemu[@]}" "${machine[@]}" -kernel "$lab/vmlinuz" -initrd "$scratch/initramfs.gz" \
	-append "console=ttyS0 quiet panic=-1 mitigations=off" </dev/null >"$out/console.log" 2>"$out/qemu.log" &
vm=$!
code=0
wait "$vm" || code=$?
vm=
echo "the VM ran for $((SECONDS - started)) s, its console is in $out/console.log"

rm -rf "$out/guest"
mkdir "$out/guest"
tar -C "$out/guest" -xf "$scratch/results" 2>>"$out/qemu.log" || true
cp "$lab/versions" "$out/versions"
if [[ $code -ne 0 ]] || ! grep -q '^vm: off' "$out/console.log"; then
	tail -n 30 "$out/console.log" >&2
	tail -n 5 "$out/qemu.log" >&2
	[[ $code -ne 124 ]] || die "the VM did not end within $timeout s; the end of its console is above"
	die "the VM ended before its work was done (exit code $code); the end of its console is above"
fi

if [[ -n $script ]]; then
	cat "$out/guest/console.txt"
	exit 0
fi
python3 "$root/tests/vm/check_run.py" "$out/guest" || exit 2
