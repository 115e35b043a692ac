// A program of several parts: it starts a helper program, loads a plugin, and is
// itself started by a wrapper. Every path is one that the build put into it.
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    printf("glibc %s\nwrapper %s\n", gnu_get_libc_version(), getenv("PARTS_WRAPPER"));
    void *plugin = dlopen(PREFIX "/lib/parts/plugin.so", RTLD_NOW);
    if (!plugin) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    printf("plugin %d\n", ((int (*)(int))dlsym(plugin, "plugin"))(argc));
    fflush(stdout);
    execl(PREFIX "/libexec/parts/helper", "helper", argv[0], (char *)0);
    perror(PREFIX "/libexec/parts/helper");
    return 1;
}
