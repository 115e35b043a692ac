# packages: php8.2-cli
# adopt: /usr/bin/php8.2
# plugins: /usr/lib/php
# Extensions that php.ini loads, and ffi.
"$BIN/php8.2" -d ffi.enable=1 <<'PHP'
<?php
$wanted = ["ctype", "ffi", "fileinfo", "iconv", "pdo", "phar", "posix", "shmop", "sockets", "sysvsem", "tokenizer"];
foreach ($wanted as $name) if (!extension_loaded($name)) echo "no $name\n";
echo iconv("UTF-8", "ISO-8859-1", "\u{e9}") === "\xe9" ? "iconv\n" : "no\n";
$c = FFI::cdef("int abs(int);", "libc.so.6"); echo $c->abs(-5), "\n";
echo (new finfo(FILEINFO_MIME_TYPE))->file("/bin/true"), "\n";
echo count(token_get_all("<?php echo 1;")), " ", posix_getpid() > 0 ? "pid" : "", " ", hash("xxh128", "indir"), "\n";
socket_create_pair(AF_UNIX, SOCK_STREAM, 0, $pair); socket_write($pair[0], "through"); echo socket_read($pair[1], 10), "\n";
file_put_contents("php://fd/3", file_get_contents("/proc/self/maps"));
PHP
