# packages: postgresql-15
# adopt: /usr/lib/postgresql/15/bin/postgres /usr/lib/postgresql/15/bin/initdb /usr/lib/postgresql/15/bin/psql /usr/lib/postgresql/15/bin/pg_ctl
# plugins: /usr/lib/postgresql/15/lib
# link: /usr/lib/postgresql/15/lib lib
# A database with procedural language, extensions (each a module), ICU and JIT.
user=nobody
mkdir data && chown $user data && chmod 755 "$WORK"
as() { setpriv --reuid=$user --regid=nogroup --clear-groups "$@"; }
as "$BIN/initdb" -L /usr/share/postgresql/15 -D "$WORK/data" -U $user --locale=C.UTF-8 -A trust >init.log 2>&1 || cat init.log
options="-c listen_addresses= -c unix_socket_directories=$WORK/data -c dynamic_library_path=/usr/lib/postgresql/15/lib -c jit_above_cost=0"
setpriv --reuid=$user --regid=nogroup --clear-groups "$BIN/postgres" -D "$WORK/data" $options >log 2>&1 &
server=$!
trap 'kill -INT $server; wait $server' EXIT
until [ -S data/.s.PGSQL.5432 ]; do kill -0 $server || { cat log; exit 1; }; sleep 0.1; done
sleep 0.5
sql() { as "$BIN/psql" -h "$WORK/data" -U $user -d postgres -qAt "$@"; }
sql <<'SQL'
create table t as select n, md5(n::text) as h from generate_series(1, 1000) n;
select count(*), max(h) from t where n % 7 = 0;
do $$ begin for i in 1..3 loop raise notice 'plpgsql %', i; end loop; end $$;
select to_tsvector('english', 'the programs are running');
select 'b' > 'a' collate "C", upper('straße' collate "de-x-icu");
create extension pgcrypto;
select encode(digest('indir', 'sha256'), 'hex'), pgp_sym_decrypt(pgp_sym_encrypt('secret', 'key'), 'key');
create extension hstore;
select 'a=>1'::hstore -> 'a';
SQL
cat /proc/$server/maps >&3
