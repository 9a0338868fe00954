#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs/conformance.md: every rule has one row, every row names tests that exist, and each of these tests names the rule: in its own text, or in a table,
# comment or helper that stands between it and the test before it.
set -eu
cd "${srcdir:-.}"
page=docs/conformance.md
rules="L 1-16  A 1-18  B 1-6,10-12  J 1-14  C 1-16  K 1-31  H 1-3  M 1-9  R 1-7  Y 1-9,20-22  T 1-10  N 1-5,10-22,30-54  W 1-6,10-16,20-24  S 1-32"
bad=0

fail() {
    echo "conformance: $*"
    bad=1
}

# Lines "rule file test" of the page.
rows=$(sed -n 's/^| \([A-Z]-[0-9][0-9]\) | ..* | \(`.*`\) |$/\1 \2/p' "$page" | awk '{ for (i = 2; i <= NF; i++) { split($i, part, "::"); gsub("`", "", part[1]); gsub("`", "", part[2]); print $1, part[1], part[2] } }')
[ "$(echo "$rows" | wc -l)" -ge 200 ] || { echo "conformance: $page cannot be read"; exit 1; }

wanted=$(echo "$rules" | awk '{
    for (i = 1; i < NF; i += 2) {
        count = split($(i + 1), spans, ",")
        for (s = 1; s <= count; s++) {
            split(spans[s], ends, "-")
            for (n = ends[1]; n <= ends[2]; n++)
                printf "%s-%02d\n", $i, n
        }
    }
}')
for rule in $wanted; do
    case $(grep -c "^| $rule |" "$page") in
    1) echo "$rows" | grep -q "^$rule " || fail "the row of $rule names no test" ;;
    0) fail "$rule has no row" ;;
    *) fail "$rule has several rows" ;;
    esac
done
for rule in $(echo "$rows" | cut -d' ' -f1 | sort -u); do
    echo "$wanted" | grep -qx "$rule" || fail "$rule is no rule"
done

# Lines "test rule" of a file: which rules are named from the end of one test to the end of the next; "K-01 to K-10" names ten. "test -" for each test.
rules_of() {
    awk -v python="$(case $1 in *.py) echo 1 ;; *) echo 0 ;; esac)" '
    function tell(   first, last, letter, n) {
        print name, "-"
        while (match(text, /[A-Z]-[0-9][0-9]( to ([A-Z]-)?[0-9][0-9])?/)) {
            letter = substr(text, RSTART, 1)
            first = substr(text, RSTART + 2, 2) + 0
            last = substr(text, RSTART + RLENGTH - 2, 2) + 0
            for (n = first; n <= last; n++)
                printf "%s %s-%02d\n", name, letter, n
            text = substr(text, RSTART + RLENGTH)
        }
        name = ""
        text = ""
    }
    python && name != "" && /^[^ \t)\]}]/ { tell() }
    python && /^def test_/ { name = $2; sub(/\(.*/, "", name) }
    !python && /^static void [a-z0-9_]+\(void \*\*state\)/ { name = $3; sub(/\(.*/, "", name) }
    { text = text "\n" $0 }
    !python && name != "" && $0 == "}" { tell() }
    END { if (name != "") tell() }' "$1"
}

for file in $(echo "$rows" | cut -d' ' -f2 | sort -u); do
    [ -f "tests/$file" ] || { fail "tests/$file does not exist"; continue; }
    known=$(rules_of "tests/$file")
    while read -r rule _ name; do
        if ! echo "$known" | grep -qx -- "$name -"; then
            fail "$rule: tests/$file has no test $name"
        elif ! echo "$known" | grep -qx -- "$name $rule"; then
            fail "tests/$file::$name does not name $rule"
        fi
    done <<LIST
$(echo "$rows" | awk -v file="$file" '$2 == file')
LIST
done
exit $bad
