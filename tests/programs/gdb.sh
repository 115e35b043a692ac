# packages: gdb gcc
# adopt: /usr/bin/gdb
# Python inside of gdb, and a program debugged by it.
cat >twice.c <<'C'
int twice(int n) { return 2 * n; }
int main(void) { return twice(21) - 42; }
C
gcc -g -O0 -o twice twice.c
"$BIN/gdb" -nx -q -batch -iex 'set debuginfod enabled off' -ex 'break twice' -ex run \
    -ex 'python print("n is", gdb.parse_and_eval("n"), gdb.selected_frame().older().name())' \
    -ex 'python import ssl, ctypes, json; print(json.dumps([ssl.HAS_SNI]))' \
    -ex 'python open("maps", "w").write(open("/proc/self/maps").read())' \
    -ex finish -ex continue ./twice >out 2>err
grep -E '^(n is|\[true|Value returned|\[Inferior)' out | sed 's/process [0-9]*/process N/'
cat maps >&3
