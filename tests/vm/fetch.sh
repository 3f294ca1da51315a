#!/bin/bash
# Fetches what the VM is made of into CACHE/lab: a QEMU that has the igb device, a kernel whose igb does zero-copy, busybox.
#
#   tests/vm/fetch.sh CACHE
#
#   CACHE/lab/root/        busybox, QEMU with libraries and firmware (unless this machine's own will do): unpacked, not installed
#   CACHE/lab/vmlinuz      the kernel
#   CACHE/lab/modules/     its modules that the guest loads, NN-NAME.ko, in the order to load them
#   CACHE/lab/versions     package, version: for the log
#
# apt runs with a configuration of its own: sources, lists, cache and a copy of dpkg's status in CACHE, nothing of the machine's is
# written. Mixing suites on the machine itself would replace its libc. Exit code 0, or 77 with a last line "SKIPPED: why".
set -euo pipefail
shopt -s nullglob

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
modules=('virtio_pci?' virtio_blk igb pktgen veth 'xsk_diag?')
kernel_suite=trixie-backports # igb has zero-copy from 6.14 on; Debian 12's own backports end at 6.12
layout=1                      # raise it when what is in CACHE/lab changes

skip() {
	echo "SKIPPED: $*"
	exit 77
}

[[ $# -eq 1 ]] || {
	echo "Usage: tests/vm/fetch.sh CACHE" >&2
	exit 1
}
mkdir -p "$1" || skip "cannot make the directory '$1'; set FLOWLANE_VM_CACHE to another one"
cache=$(cd "$1" && pwd)
lab=$cache/lab

# Two runs at a time share one download.
exec 9>"$cache/lock"
flock 9
wanted="$layout ${modules[*]}"
if [[ -f $lab/stamp && $(<"$lab/stamp") == "$wanted" ]]; then
	exit 0
fi

[[ $(uname -m) == x86_64 ]] || skip "the VM is for x86_64, this machine is $(uname -m)"
for tool in apt-get apt-cache dpkg-deb python3; do
	command -v $tool >/dev/null || skip "$tool is not here; the VM is made of Debian packages"
done
codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
[[ -n $codename ]] || skip "/etc/os-release names no release; the VM is made of Debian packages"

new=$cache/new
rm -rf "$new"
mkdir -p "$new"/{etc,lists/partial,archives/partial,root,kernel}
trap 'rm -rf "$new"' EXIT
cp /var/lib/dpkg/status "$new/status"

# Read as part of the command line, after the machine's own configuration: its proxy stays, its hooks go.
cat >"$new/apt.conf" <<END
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$new/etc";
Dir::State::Lists "$new/lists";
Dir::State::status "$new/status";
Dir::Cache "$new";
Dir::Cache::archives "$new/archives";
Debug::NoLocking "true";
APT::Sandbox::User "root";
APT::Get::Assume-Yes "true";
APT::Install-Recommends "false";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
END
log=$cache/fetch.log
: >"$log"

# A network that swallows everything must not hold up the tests for ever.
apt() {
	local program=$1
	shift
	timeout 200 "$program" -q -c "$new/apt.conf" "$@" 2>>"$log"
}

# The mirrors that this machine uses for its own release; other vendors' archives may be among them, and have no backports.
mirrors() {
	apt-get update --print-uris 2>>"$log" | sed -n "s|^'\(.*\)/dists/$codename/InRelease' .*|\1|p" | sort -u
}

use_mirror() {
	local signed_by=/usr/share/keyrings/debian-archive-keyring.gpg
	{
		echo "Types: deb"
		echo "URIs: $1"
		echo "Suites: $codename $codename-backports $kernel_suite"
		echo "Components: main"
		[[ ! -f $signed_by ]] || echo "Signed-By: $signed_by"
	} >"$new/etc/lab.sources"
	apt apt-get update --error-on=any >>"$log"
}

mirror=
for candidate in $(mirrors); do
	if use_mirror "$candidate"; then
		mirror=$candidate
		break
	fi
done
[[ -n $mirror ]] || skip "no mirror of this machine gives $codename-backports and $kernel_suite (see $log)"

# The metapackage names the newest kernel; since 6.19 its image and modules are packages of their own, before they were one.
kernel=$(apt apt-cache show "linux-image-amd64/$kernel_suite" |
	sed -n 's/^Depends:.*linux-image-\([0-9][^ ,]*\).*/\1/p' | head -n 1)
[[ -n $kernel ]] || skip "$kernel_suite has no linux-image-amd64 (see $log)"
packages=("linux-image-$kernel")
for part in binary modules; do
	# Not grep -q: it would close the pipe early, and pipefail then calls a found package missing.
	if apt apt-cache show "linux-$part-$kernel" | grep '^Package:' >/dev/null; then
		packages+=("linux-$part-$kernel")
	fi
done

# A QEMU that is installed here will do if it has igb (8.0 has, Debian 12's 7.2 has not). Else also the libraries that this
# machine lacks; what it has is used.
programs=(busybox-static)
if ! qemu-system-x86_64 -device help 2>>"$log" | grep '"igb"' >/dev/null; then
	programs+=(qemu-system-x86)
fi
apt apt-get -t "$codename-backports" --download-only install "${programs[@]}" >>"$log" ||
	skip "apt cannot get ${programs[*]} from $codename-backports (see $log)"
for package in "$new"/archives/*.deb; do
	dpkg-deb -x "$package" "$new/root"
	dpkg-deb -W --showformat='${Package} ${Version}\n' "$package" >>"$new/versions"
done
if [[ ! -x $new/root/bin/busybox ]]; then
	# The machine has it already, so there was nothing to fetch.
	mkdir -p "$new/root/bin"
	cp /bin/busybox "$new/root/bin/busybox" || skip "there is no /bin/busybox, though busybox-static is installed"
fi

(cd "$new/kernel" && apt apt-get download "${packages[@]}" >>"$log") || skip "apt cannot get the kernel $kernel (see $log)"
for package in "$new"/kernel/*.deb; do
	dpkg-deb -x "$package" "$new/kernel"
	dpkg-deb -W --showformat='${Package} ${Version}\n' "$package" >>"$new/versions"
done
image=$(find "$new/kernel" -type f -name 'vmlinuz*' | head -n 1)
[[ -n $image ]] || skip "no vmlinuz in the packages ${packages[*]}"
cp "$image" "$new/vmlinuz"
python3 "$here/pick_modules.py" "$new/kernel" "$new/modules" "${modules[@]}" ||
	skip "modules are missing from the packages ${packages[*]}"

rm -rf "${new:?}"/{kernel,archives,lists,etc,status,apt.conf,pkgcache.bin,srcpkgcache.bin}
echo "$wanted" >"$new/stamp"
rm -rf "$lab"
mv "$new" "$lab"
