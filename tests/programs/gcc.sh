# packages: g++-12 gcc-12-plugin-dev binutils
# adopt: /usr/bin/x86_64-linux-gnu-gcc-12 /usr/bin/x86_64-linux-gnu-g++-12 /usr/lib/gcc/x86_64-linux-gnu/12/cc1 /usr/lib/gcc/x86_64-linux-gnu/12/cc1plus /usr/lib/gcc/x86_64-linux-gnu/12/collect2 /usr/bin/x86_64-linux-gnu-as /usr/bin/x86_64-linux-gnu-ld.bfd
# The driver executes cc1, as, collect2 and ld; cc1 loads a plugin, ld one for LTO.
ln -s "$BIN/x86_64-linux-gnu-as" as && ln -s "$BIN/x86_64-linux-gnu-ld.bfd" ld
# The driver looks for its headers from where it is, unless it is told.
export GCC_EXEC_PREFIX=/usr/lib/gcc/
for name in cc1 cc1plus collect2; do ln -s "$BIN/$name" $name; done
cat >count.cc <<'CC'
#include <gcc-plugin.h>
#include <plugin-version.h>
#include <tree.h>
#include <fstream>
#include <iostream>
int plugin_is_GPL_compatible;
static int functions;
static void finished(void *, void *) { functions++; }
static void over(void *, void *) {
    std::cout << "functions: " << functions << "\n";
    std::ofstream("maps") << std::ifstream("/proc/self/maps").rdbuf();
}
int plugin_init(struct plugin_name_args *info, struct plugin_gcc_version *version) {
    if (!plugin_default_version_check(version, &gcc_version)) return 1;
    register_callback(info->base_name, PLUGIN_FINISH_PARSE_FUNCTION, finished, 0);
    register_callback(info->base_name, PLUGIN_FINISH, over, 0);
    return 0;
}
CC
"$BIN/x86_64-linux-gnu-g++-12" -B"$PWD/" -fno-rtti -O1 -fPIC -shared -o count.so count.cc \
    -I"$(gcc-12 -print-file-name=plugin)/include"
cat >hello.c <<'C'
#include <stdio.h>
#include <math.h>
static double half(double x) { return x / 2; }
int main(int argc, char **argv) { printf("%.3f\n", sqrt(half(argc * 18.0))); }
C
"$BIN/x86_64-linux-gnu-gcc-12" -B"$PWD/" -fplugin=./count.so -O2 -o hello hello.c -lm && ./hello
"$BIN/x86_64-linux-gnu-gcc-12" -B"$PWD/" -flto -O2 -o hello-lto hello.c -lm && ./hello-lto
"$BIN/x86_64-linux-gnu-gcc-12" -B"$PWD/" -print-prog-name=cc1 | sed 's|.*/||'
"$BIN/x86_64-linux-gnu-gcc-12" -B"$PWD/" -S -O2 -o - hello.c | sha256sum
cat maps >&3
