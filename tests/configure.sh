#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# configure names what is missing, and the package to install: each library is hidden in turn.
#   tests/configure.sh SOURCE-DIR SCRATCH-DIR
set -u
source=$1
scratch=$2
mkdir -p "$scratch" && cd "$scratch" || exit 1
bad=0

expect() {
    what=$1
    words=$2
    shift 2
    if env "$@" "$source/configure" >out.log 2>&1; then
        echo "configure went through without $what"
        bad=1
    elif ! grep -q "$words" out.log; then
        echo "without $what configure does not say \"$words\":"
        tail -n 3 out.log
        bad=1
    fi
}

# A pkg-config that does not know one module.
for module in apr-1:libapr1-dev libcrypto:libssl-dev jansson:libjansson-dev libcurl:libcurl4-openssl-dev; do
    printf '#!/bin/sh\ncase "$*" in *%s*) exit 1 ;; esac\nexec pkg-config "$@"\n' "${module%%:*}" >pkg-config-without
    chmod +x pkg-config-without
    expect "${module%%:*}" "${module#*:}" PKG_CONFIG="$scratch/pkg-config-without"
done
printf '#!/bin/sh\nexit 1\n' >no-apxs && chmod -x no-apxs
if "$source/configure" --with-apxs="$scratch/no-apxs" >out.log 2>&1 || ! grep -q 'apxs was not found' out.log; then
    echo "configure takes an apxs that does not run"
    bad=1
fi
exit $bad
