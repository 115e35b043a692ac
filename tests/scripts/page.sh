#!/bin/sh
# Prints, as one shell script, what a reader of a page would type: its fenced blocks, in
# order. The tests run it in a sandbox, walk.sh in a fresh system.
#
# usage: page.sh PAGE.md [SECTION]      (SECTION: a heading of the second level)
#
# ```sh        commands; their output is shown and not compared
# ```console   commands behind `$ `, and below each what it must print, with every string
#              of 16 hexadecimal digits or more taken for the same; a line `...` stands
#              for any number of lines, and in a line for anything. What prints nothing
#              has to succeed
# any other    is not run
#
# A comment in the line above a block says what else to do with it:
#
# <!-- file: NAME -->      the block is the content of that file
# <!-- not run: REASON --> a reader has to do it elsewhere; `walk:` before REASON means
#                          that walk.sh does run it (PAGE_WALK=1)
# <!-- shown: REASON -->   for blocks of other kinds: no commands
#
# Every block that is not run needs such a comment, or this script fails.
set -eu
[ $# -ge 1 ] || {
    echo "usage: page.sh PAGE.md [SECTION]" >&2
    exit 2
}
page=$1 section=${2-}

cat <<'PRELUDE'
set -eu
page_out=$(mktemp)
page_like=$(mktemp)
trap 'page_code=$?; rm -f "$page_out" "$page_like"; [ $page_code = 0 ] || echo "failed at $page_at" >&2; exit $page_code' EXIT
page_failed() {
    cat "$page_out" >&2
    exit 1
}
# page_expect: the output must be what stands on stdin.
page_expect() {
    cat "$page_out"
    cat >"$page_like"
    page_sed='s/[0-9a-f]\{16,\}/ID/g; s/[[:space:]]*$//'
    sed "$page_sed" "$page_like" >"$page_like.want"
    sed "$page_sed" "$page_out" >"$page_like.got"
    awk '
        NR == FNR { want[++wants] = $0; next }
        { got[++gots] = $0 }
        END { exit !fits(1, 1) }
        # Whether a line is the other, in which `...` stands for anything.
        function like(line, model,    dots, at) {
            dots = index(model, "...")
            if (!dots) return line == model
            if (substr(line, 1, dots - 1) != substr(model, 1, dots - 1)) return 0
            model = substr(model, dots + 3)
            for (at = dots; at <= length(line) + 1; at++)
                if (like(substr(line, at), model)) return 1
            return 0
        }
        function fits(w, g,    at) {
            for (; w <= wants && want[w] != "..."; w++) {
                if (g > gots || !like(got[g], want[w])) return 0
                g++
            }
            if (w > wants) return g > gots
            for (at = g; at <= gots + 1; at++) if (fits(w + 1, at)) return 1
            return 0
        }
    ' "$page_like.want" "$page_like.got" || {
        echo "the page says something else (- page, + now):" >&2
        diff -u "$page_like.want" "$page_like.got" | sed 1,2d >&2
        rm -f "$page_like.want" "$page_like.got"
        exit 1
    }
    rm -f "$page_like.want" "$page_like.got"
}
PRELUDE

awk -v section="$section" -v walk="${PAGE_WALK-}" '
    function quoted(text) { gsub(/\047/, "\047\\\047\047", text); return "\047" text "\047" }
    function at() { printf "page_at=%s\n", quoted(FILENAME ":" FNR) }
    # Ends the command of a console block that is open.
    function close_command() {
        if (command == "") return
        sub(/\n$/, "", command)
        at()
        printf "printf \"%%s\\n\" %s\n", quoted("$ " command)
        # In braces, so that `cd` and variables last.
        printf "{ %s\n} >\"$page_out\" 2>&1 || %s\n", command, expected == "" ? "page_failed" : ":"
        printf "page_expect <<\047END_OF_PAGE\047\n%sEND_OF_PAGE\n", expected
        command = expected = ""
    }
    function fail(text) {
        printf "%s:%d: %s\n", FILENAME, FNR, text >"/dev/stderr"
        failed = 1
        exit 1
    }
    BEGIN { use = section == "" }
    !fenced && /^## / {
        here = substr($0, 4)
        if (section != "") use = here == section
        if (use) found = 1
    }
    !fenced && /^<!-- (file|not run|shown): .*-->$/ { marker = $0; next }
    !fenced && /^```/ {
        fenced = 1
        kind = substr($0, 4)
        mode = ""
        if (marker ~ /^<!-- file: /) {
            mode = "file"
            name = marker
            sub(/^<!-- file: */, "", name)
            sub(/ *-->$/, "", name)
        } else if (marker ~ /^<!-- not run: *walk: / && walk != "") mode = kind
        else if (marker ~ /^<!-- (not run|shown): *[^ -]/) mode = "none"
        else if (kind == "sh" || kind == "console") mode = kind
        else fail("a block that is not run, and no comment above it says why")
        marker = ""
        if (!use) { mode = "none"; next }
        if (mode == "file") {
            at()
            printf "cat >%s <<\047END_OF_PAGE\047\n", quoted(name)
        } else if (mode == "sh") {
            at()
            print "cat <<\047END_OF_PAGE\047"
            block = ""
        }
        next
    }
    fenced && /^```$/ {
        fenced = 0
        if (mode == "file") print "END_OF_PAGE"
        else if (mode == "sh") printf "%sEND_OF_PAGE\n%s", block, block
        else if (mode == "console") close_command()
        next
    }
    fenced && mode == "file" { print }
    fenced && mode == "sh" { block = block $0 "\n" }
    fenced && mode == "console" {
        if (/^\$ /) { close_command(); command = substr($0, 3) "\n" }
        else if (/^> /) command = command substr($0, 3) "\n"
        else if (command == "") fail("output before the first command")
        else expected = expected $0 "\n"
    }
    !fenced && NF { marker = "" }
    END {
        if (failed) exit 1
        if (fenced) fail("a block without an end")
        if (section != "" && !found) fail("no section called " section)
    }
' "$page"
