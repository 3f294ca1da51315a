#!/bin/bash
# Installs what is needed, builds, and runs every test. What CI runs, and what a developer runs.
#
#   scripts/test.sh            all of it
#   scripts/test.sh --quick    every fifth capture of the corpus only, and short live tests
#
# Captures come from $FLOWLANE_CORPUS, else from ../shared/corpus beside the repository; without them those tests are SKIPPED.
# The output of each step is in build/test-logs/. The last line is 'N passed, N failed, N skipped'; exit code 0 if none failed.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 2
logs=build/test-logs
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$logs"

case ${1:-} in
"") ;;
--quick) export FLOWLANE_CORPUS_EVERY=5 FLOWLANE_NET_SHORT=1 ;;
*)
	echo "Usage: scripts/test.sh [--quick]" >&2
	exit 1
	;;
esac
export FLOWLANE_CORPUS=${FLOWLANE_CORPUS:-$root/../shared/corpus}
export FLOWLANE_PLAIN=$root/build/release/flowlane # the corpus checks compare its outputs with those of the sanitized build
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-2}
export DEBIAN_FRONTEND=noninteractive

passed=0 failed=0 skipped=0 complaints=

line() { printf '%-9s %-34s %5d s  %s\n' "$1" "$2" "$3" "${4:-}"; }

# step NAME COMMAND...: one test of its own. Exit code 77 of the command is a skip; its last line says why.
step() {
	local name=$1 log="$logs/${1// /-}.log" start=$SECONDS code
	shift
	"$@" >"$log" 2>&1 </dev/null
	code=$?
	case $code in
	0)
		passed=$((passed + 1))
		line passed "$name" $((SECONDS - start))
		;;
	77)
		skipped=$((skipped + 1))
		line SKIPPED "$name" $((SECONDS - start)) "$(tail -n 1 "$log")"
		;;
	*)
		failed=$((failed + 1))
		line FAILED "$name" $((SECONDS - start)) "exit code $code, all output in $log; its end:"
		tail -n 25 "$log" | sed 's/^/    /'
		complaints+="$name: exit code $code"$'\n'
		;;
	esac
	return $code
}

# At the end once more what failed and why, where somebody who sees only the last lines finds it.
finish() {
	printf '%s' "$complaints"
	printf 'total time %d s\n' "$SECONDS"
	printf '%d passed, %d failed, %d skipped\n' $passed $failed $skipped
	[[ $failed -eq 0 ]]
	exit
}

build() {
	cmake --preset "$1" && cmake --build --preset "$1"
}

# suite PRESET LABEL: the tests of one label in one build tree; each counts on its own.
suite() {
	local preset=$1 label=$2 log="$logs/$1-$2.log" start=$SECONDS results
	ctest --test-dir "build/$preset" -L "^$label\$" --no-tests=ignore --output-on-failure --no-label-summary >"$log" 2>&1 </dev/null
	results=$(grep -E '^ *[0-9]+/[0-9]+ Test +#' "$log")
	local good bad skip
	good=$(grep -cE ' Passed +[0-9.]+ sec' <<<"$results")
	skip=$(grep -cF '***Skipped' <<<"$results")
	bad=$(($(grep -c . <<<"$results") - good - skip))
	passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skip))
	if [[ $((good + bad + skip)) -eq 0 ]]; then
		failed=$((failed + 1))
		line FAILED "$label tests, $preset" $((SECONDS - start)) "there are none; all output in $log"
	else
		local outcome=passed
		[[ $good -eq 0 ]] && outcome=SKIPPED
		[[ $bad -eq 0 ]] || outcome=FAILED
		line $outcome "$label tests, $preset" $((SECONDS - start)) "$good passed, $bad failed, $skip skipped"
	fi
	if [[ $bad -ne 0 ]]; then
		grep -vE '^ *([0-9]+/[0-9]+ Test +#.* Passed|Start +[0-9]+:)' "$log" | tail -n 60 | sed 's/^/    /'
		echo "    all output in $log"
		complaints+=$(grep -E 'Test +#.*\*\*\*|FAILED|^(FAIL|ERROR):|Error: |ERROR: |runtime error' "$log" | grep -v 'The following tests' | sort -u | head -n 12 | cut -c 1-300)$'\n'
	fi
	if [[ $skip -ne 0 ]]; then
		grep -hE '^SKIPPED' "$log" "build/$preset/Testing/Temporary/LastTest.log" | sort -u | sed 's/^/    /'
	fi
}

check_format() {
	if ! command -v clang-format >/dev/null; then
		echo "SKIPPED: clang-format is not installed"
		return 77
	fi
	git ls-files -z '*.c' '*.h' | xargs -0 clang-format --dry-run -Werror
}

# The second compiler: without warnings, and without a border between layers crossed. With its fuzzer where that is installed.
check_clang() {
	local fuzz=OFF flags=
	if ! command -v clang >/dev/null; then
		echo "SKIPPED: clang is not installed"
		return 77
	fi
	if [[ -n $(compgen -G 'tests/fuzz/fuzz_*.c') ]] && can_fuzz; then
		fuzz=ON flags=-fsanitize=fuzzer-no-link
	fi
	cmake -S . -B build/clang -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DFLOWLANE_SANITIZE=ON \
		-DFLOWLANE_FUZZ="$fuzz" -DCMAKE_C_FLAGS="$flags" && cmake --build build/clang -j 2
}

can_fuzz() {
	echo 'int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return data && size ? 0 : 0; }' |
		clang -x c -fsanitize=fuzzer,address -o "$scratch/can_fuzz" - 2>/dev/null
}

skip_fuzz() {
	echo "SKIPPED: clang with its fuzzer is not installed (apt-get install clang libclang-rt-14-dev)"
	return 77
}

# A binary somewhere else than in the build tree does the main job.
check_binary() {
	local binary=$1
	"$binary" --version &&
		"$binary" -r "$scratch/demo.pcap" -w "$scratch/copy.pcap" --export-json "$scratch/flows.json" --quiet &&
		cmp "$scratch/demo.pcap" "$scratch/copy.pcap" &&
		python3 -c 'import json, sys; sys.exit(not json.load(open(sys.argv[1])))' "$scratch/flows.json"
}

check_install() {
	build/release/make_capture --demo "$scratch/demo.pcap" || return
	DESTDIR=$scratch/installed cmake --install build/release --prefix /usr || return
	check_binary "$scratch/installed/usr/bin/flowlane" || return
	test -s "$scratch/installed/usr/share/man/man1/flowlane.1"
}

check_package() {
	local package
	if ! command -v dpkg-deb >/dev/null; then
		echo "SKIPPED: dpkg-deb is not here; this is not Debian"
		return 77
	fi
	cpack --config build/release/CPackConfig.cmake -G DEB -B "$scratch/package" || return
	package=$(find "$scratch/package" -maxdepth 1 -name '*.deb')
	dpkg-deb -I "$package" && dpkg-deb -c "$package" && dpkg-deb -x "$package" "$scratch/unpacked" || return
	# The libraries that it needs are named, so that apt installs them.
	dpkg-deb -f "$package" Depends | grep -q 'libpcap.*' || {
		echo "no libpcap among the dependencies"
		return 1
	}
	check_binary "$(find "$scratch/unpacked" -type f -name flowlane)"
}

step "packages" scripts/deps.sh build tests || finish
step "release build" build release || finish
step "asan build" build asan || finish
step "clang build" check_clang && clang_built=1
step "clang-format" check_format
suite release unit
suite asan unit
suite release cli
suite asan cli
suite release streaming
suite asan streaming
suite release bpf
suite asan bpf
suite release net
FLOWLANE_NET_SHORT=1 suite asan net # the long form is the one above
suite release vm
if ! can_fuzz; then
	step "fuzz" skip_fuzz
elif [[ -n ${clang_built:-} ]]; then
	suite clang fuzz
fi
step "install" check_install
step "package" check_package
suite asan corpus
suite release interop
finish
