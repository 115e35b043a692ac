# packages: nodejs gcc
# adopt: /usr/bin/node
# The program itself is the library of its addons: one is compiled without headers.
cat >addon.c <<'C'
#include <stddef.h>
typedef void *V; typedef void *E;
int napi_create_double(E, double, V *);
int napi_set_named_property(E, V, const char *, V);
double cbrt(double);
V napi_register_module_v1(E env, V exports) {
    V number;
    napi_create_double(env, cbrt(27.0), &number);
    napi_set_named_property(env, exports, "three", number);
    return exports;
}
C
gcc -shared -fPIC -o addon.node addon.c -lm
cat >main.js <<'JS'
const crypto = require('crypto'), fs = require('fs'), zlib = require('zlib'), { Worker } = require('worker_threads');
console.log(require('./addon.node').three, crypto.createHash('sha256').update('indir').digest('hex'));
console.log(zlib.gunzipSync(zlib.gzipSync('squeezed')).toString(), new Intl.NumberFormat('de').format(1234.5));
new Worker('require("worker_threads").parentPort.postMessage(6*7)', { eval: true }).on('message', (n) => {
    console.log(n, require('child_process').execFileSync(process.execPath, ['-p', '1+1']).toString().trim());
    fs.writeFileSync('maps', fs.readFileSync('/proc/self/maps'));
});
JS
"$BIN/node" main.js
cat maps >&3
