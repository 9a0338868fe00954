#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs those of the named Debian packages that are missing.
set -u
missing=
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null; then
    echo "These packages are needed:$missing" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "These packages are needed; install them, or run this as root: apt-get install$missing" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# A package that starts a server of its own is not wanted: tests start what they need, in a directory of their own.
policy=/usr/sbin/policy-rc.d
made=no
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 0755 $policy && made=yes
fi
apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing
status=$?
[ "$made" = no ] || rm -f $policy
exit $status
