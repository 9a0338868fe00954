#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the fuzz targets, with address and undefined behaviour sanitizers.
#   tests/fuzz/run.sh seeds                         each target over its seeds, once, without libFuzzer: any compiler ($CC, default cc) will do
#   tests/fuzz/run.sh [SECONDS [TARGET...]]         libFuzzer (clang), starting from the seeds; default: 60 seconds each, all targets
# What fuzzing learns stays in $FUZZ_DIR (default: build/fuzz), findings too, as TARGET-crash-...: replay one with `$FUZZ_DIR/TARGET FILE`, mend the code,
# and keep the input (made small by -minimize_crash=1) in tests/fuzz/seeds/TARGET/. FUZZ_JOBS (2) compile or run at a time.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
work=${FUZZ_DIR:-$root/build/fuzz}
jobs=${FUZZ_JOBS:-2}
targets="form jws keyset claims cookie link nrps json target"
flags="-std=gnu11 -g -O1 -fno-omit-frame-pointer -D_GNU_SOURCE -DLTI_VERSION='\"fuzz\"' -DLTI_STATE_DIR='\"/nonexistent\"'"
flags="$flags -I$root/include -I$root/mod_lti_sync -I$root/tests/fuzz"
sanitizers="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
packages="apr-1 apr-util-1 libcrypto jansson libcurl"
apxs=$(command -v apxs || command -v apxs2 || ls /usr/sbin/apxs 2>/dev/null) || { echo "apxs is needed (Debian: apt install apache2-dev)" >&2; exit 1; }
flags="$flags $(pkg-config --cflags $packages) -I$($apxs -q INCLUDEDIR)"
libraries=$(pkg-config --libs $packages)
# Leaks: APR and OpenSSL keep what they need until the end.
export ASAN_OPTIONS=detect_leaks=0

# build COMPILER DIRECTORY FLAGS-OF-OBJECTS FLAGS-OF-PROGRAMS SOURCES-OF-PROGRAMS: the core, the parts of the glue that need no request, and the targets.
build() {
    mkdir -p "$2" || exit 1
    {
        sources="$(ls "$root"/mod_lti_sync/lti_*.c) $root/mod_lti_sync/mod_lti_form_parse.c $root/mod_lti_sync/mod_lti_launch_target.c
            $root/mod_lti_sync/mod_lti_cookie.c $root/tests/fuzz/pool.c"
        objects=
        headers=$(ls "$root"/include/*.h "$root"/mod_lti_sync/*.h "$root"/tests/fuzz/*.h | tr '\n' ' ')
        echo "all:" $targets
        for source in $sources; do
            object=$(basename "$source" .c).o
            objects="$objects $object"
            printf '%s: %s %s\n\t%s\n' "$object" "$source" "$headers" "$1 $flags $3 -c $source -o $object"
        done
        for target in $targets; do
            printf '%s: %s %s\n\t%s\n' "$target" "$root/tests/fuzz/$target.c $5" "$objects" \
                "$1 $flags $4 $root/tests/fuzz/$target.c $5 $objects -o $target $libraries -lpthread"
        done
    } >"$2/Makefile"
    make -s -C "$2" -j "$jobs" all || exit 1
}

replay() {
    compiler=${CC:-cc}
    mkdir -p "$work" || exit 1
    echo 'int main(void) { return 0; }' >"$work/probe.c"
    # shellcheck disable=SC2086
    if ! $compiler $sanitizers "$work/probe.c" -o "$work/probe" 2>/dev/null || ! "$work/probe"; then
        echo "$compiler has no sanitizers here: without them"
        sanitizers=
    fi
    build "$compiler" "$work/replay" "$sanitizers" "$sanitizers" "$root/tests/fuzz/replay.c"
    bad=0
    for target in $targets; do
        [ -n "$(ls "$root/tests/fuzz/seeds/$target" 2>/dev/null)" ] || { echo "$target has no seeds"; bad=1; continue; }
        if "$work/replay/$target" "$root/tests/fuzz/seeds/$target"/* >"$work/replay/$target.log" 2>&1; then
            echo "ok      $target: $(tail -n 1 "$work/replay/$target.log")"
        else
            echo "FAILED  $target"
            tail -n 30 "$work/replay/$target.log" | sed 's/^/        /'
            bad=1
        fi
    done
    exit $bad
}

fuzz() {
    target=$1
    mkdir -p "$work/$target.corpus"
    dictionary=
    [ ! -f "$root/tests/fuzz/dictionaries/$target" ] || dictionary="-dict=$root/tests/fuzz/dictionaries/$target"
    # shellcheck disable=SC2086
    "$work/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="$work/$target-" $dictionary "$work/$target.corpus" "$root/tests/fuzz/seeds/$target" >"$work/$target.log" 2>&1
    status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log")
    if [ $status -eq 0 ]; then
        echo "ok      $target: ${runs:-no} inputs in $seconds s"
    else
        echo "FAILED  $target: see $work/$target.log"
        grep -m 3 -E 'not kept|ERROR|runtime error|Test unit written' "$work/$target.log" | sed 's/^/        /'
    fi
    return $status
}

[ "${1:-}" != seeds ] || replay
seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -eq 0 ] || targets=$*
build clang "$work" "-fsanitize=fuzzer-no-link $sanitizers" "-fsanitize=fuzzer $sanitizers" ""

bad=0
running=
for target in $targets; do
    fuzz "$target" &
    running="$running $!"
    # shellcheck disable=SC2086
    set -- $running
    while [ $# -ge "$jobs" ]; do
        wait "$1" || bad=1
        shift
    done
    running=$*
done
for process in $running; do
    wait "$process" || bad=1
done
exit $bad
