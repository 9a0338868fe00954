#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a command once on a PostgreSQL and once on a MariaDB server, both started here in a directory of their own and thrown away afterwards.
# The command finds the server in LTI_TEST_DB: the apr_dbd driver's name, a blank, its parameters.
#
#   tests/store/run.sh COMMAND [ARGUMENT...]
#
# Exit status: 0 if the command succeeded on both. Runs as root too (then the servers run as postgres and mysql).
set -u

[ $# -ge 1 ] || { echo "usage: $0 COMMAND [ARGUMENT...]" >&2; exit 2; }

fail() {
    echo "$0: $*" >&2
    exit 1
}

find_program() {
    for candidate in "$@"; do
        if command -v "$candidate" >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

PATH=$PATH:/usr/sbin:/usr/local/sbin
pg_ctl=$(find_program /usr/lib/postgresql/*/bin/pg_ctl /usr/pgsql-*/bin/pg_ctl pg_ctl) || fail "pg_ctl was not found (Debian: apt install postgresql)"
pg_bin=$(dirname "$(readlink -f "$pg_ctl")")
mariadbd=$(find_program mariadbd mysqld) || fail "mariadbd was not found (Debian: apt install mariadb-server)"
mariadb_install=$(find_program mariadb-install-db mysql_install_db) || fail "mariadb-install-db was not found (Debian: apt install mariadb-server)"
mariadb_admin=$(find_program mariadb-admin mysqladmin) || fail "mariadb-admin was not found (Debian: apt install mariadb-client)"

# The path of a unix socket must stay below 108 bytes, so not below $TMPDIR.
dir=$(mktemp -d /tmp/lti-store.XXXXXX) || fail "no temporary directory"
chmod 711 "$dir"
mkdir "$dir/pg" "$dir/my"
pg_started=
my_pid=

as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && su -s /bin/sh postgres -c "$*")
    else
        sh -c "$*"
    fi
}

stop() {
    trap - EXIT
    [ -z "$pg_started" ] || as_postgres "$pg_bin/pg_ctl -D $dir/pg/data -m immediate -w stop" >/dev/null 2>&1
    if [ -n "$my_pid" ]; then
        kill "$my_pid" 2>/dev/null
        wait "$my_pid" 2>/dev/null
    fi
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

start_postgres() {
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres "$dir/pg"
    fi
    as_postgres "$pg_bin/initdb -D $dir/pg/data -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N" >"$dir/initdb.log" 2>&1 || {
        cat "$dir/initdb.log" >&2
        return 1
    }
    as_postgres "$pg_bin/pg_ctl -D $dir/pg/data -w -t 60 -l $dir/pg/log \
        -o \"-F -c listen_addresses= -c unix_socket_directories=$dir/pg\" start" >/dev/null || {
        cat "$dir/pg/log" >&2
        return 1
    }
    pg_started=yes
    as_postgres "$pg_bin/createdb -h $dir/pg -U postgres lti"
}

start_mariadb() {
    user_option=
    if [ "$(id -u)" -eq 0 ]; then
        chown mysql "$dir/my"
        user_option=--user=mysql
    fi
    "$mariadb_install" --no-defaults $user_option --auth-root-authentication-method=normal --skip-test-db \
        --datadir="$dir/my/data" >"$dir/install.log" 2>&1 || {
        cat "$dir/install.log" >&2
        return 1
    }
    "$mariadbd" --no-defaults $user_option --datadir="$dir/my/data" --socket="$dir/my/sock" --pid-file="$dir/my/pid" --skip-networking \
        --innodb-buffer-pool-size=128M --innodb-flush-log-at-trx-commit=0 \
        --innodb-flush-method=nosync --innodb-doublewrite=0 --innodb-file-per-table=0 --sync-frm=0 >"$dir/my.log" 2>&1 &
    my_pid=$!
    tries=0
    until "$mariadb_admin" --no-defaults --user=root --socket="$dir/my/sock" ping >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 300 ] || ! kill -0 "$my_pid" 2>/dev/null; then
            cat "$dir/my.log" >&2
            return 1
        fi
        sleep 0.2
    done
    "$mariadb_admin" --no-defaults --user=root --socket="$dir/my/sock" create lti
}

status=0
start_postgres || fail "PostgreSQL did not start"
echo "# PostgreSQL: $*"
LTI_TEST_DB="pgsql host=$dir/pg dbname=lti user=postgres" "$@" || status=1
start_mariadb || fail "MariaDB did not start"
echo "# MariaDB: $*"
LTI_TEST_DB="mysql sock=$dir/my/sock,dbname=lti,user=root" "$@" || status=1
exit $status
