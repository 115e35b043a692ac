# packages: clang-14 gcc libc6-dev
# adopt: /usr/lib/llvm-14/bin/clang
# The compiler and a plugin that uses libLLVM of the compiler's own closure.
cat >plugin.c <<'C'
#include <stdio.h>
void *LLVMGetGlobalContext(void);
void *LLVMInt32TypeInContext(void *);
unsigned LLVMGetIntTypeWidth(void *);
__attribute__((constructor)) static void hello(void) {
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r"), *copy = fopen("maps", "w");
    printf("plugin: %u bits\n", LLVMGetIntTypeWidth(LLVMInt32TypeInContext(LLVMGetGlobalContext())));
    while (fgets(line, sizeof line, maps)) fputs(line, copy);
    fclose(copy);
}
C
gcc -shared -fPIC -o plugin.so plugin.c
printf '#include <stdio.h>\n#include <stddef.h>\nint main(void) { printf("%%zu\\n", sizeof(max_align_t)); }\n' >hello.c
clang="$BIN/clang -resource-dir /usr/lib/llvm-14/lib/clang/$(ls /usr/lib/llvm-14/lib/clang)"
$clang -fplugin=./plugin.so -O2 -o hello hello.c && ./hello
$clang -O2 -S -emit-llvm -o - hello.c | grep -v '^source_filename\|^; ModuleID' | sha256sum
cat maps >&3
