#include <stdio.h>
#include <zlib.h>

int main(int argc, char **argv) {
    (void)argv;
    printf("helper %d, zlib %s\n", argc, zlibVersion());
    return 0;
}
