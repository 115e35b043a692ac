// A library that names a program of its own package.
const char *parts_helper(void) { return PREFIX "/libexec/parts/helper"; }
