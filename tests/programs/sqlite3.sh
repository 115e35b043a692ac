# packages: sqlite3 libsqlite3-dev gcc
# adopt: /usr/bin/sqlite3
# An extension that is loaded while it runs.
cat >half.c <<'C'
#include <math.h>
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1
static void half(sqlite3_context *context, int count, sqlite3_value **values) {
    sqlite3_result_double(context, floor(sqlite3_value_double(values[0]) / 2));
}
int sqlite3_half_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
    SQLITE_EXTENSION_INIT2(api);
    return sqlite3_create_function(db, "half", 1, SQLITE_UTF8, 0, half, 0, 0);
}
C
gcc -shared -fPIC -o half.so half.c -lm
"$BIN/sqlite3" base.db <<'SQL'
.load ./half
create table t (n);
insert into t values (7), (8), (9);
select n, half(n) from t;
select sum(n) over (order by n), json_object('n', n) from t;
.shell cat /proc/$PPID/maps >&3
SQL
