# packages: nginx-light libnginx-mod-http-echo curl openssl
# adopt: /usr/sbin/nginx
# plugins: /usr/lib/nginx/modules
# A module, TLS, worker processes, a reload of the running server.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem \
    -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
mkdir -p html && echo static >html/file
cat >conf <<CONF
load_module /usr/lib/nginx/modules/ngx_http_echo_module.so;
user nobody nogroup; worker_processes 2; pid $WORK/pid; error_log $WORK/log; daemon on;
events {}
http {
    access_log off;
    client_body_temp_path $WORK/a; proxy_temp_path $WORK/b; fastcgi_temp_path $WORK/c;
    uwsgi_temp_path $WORK/d; scgi_temp_path $WORK/e;
    server {
        listen unix:$WORK/socket ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
        location /echo { echo "said by a module"; echo_duplicate 2 "--"; }
        location / { root $WORK/html; }
    }
}
CONF
chmod -R a+rX "$WORK"
"$BIN/nginx" -p "$WORK" -c "$WORK/conf"
trap 'kill "$(cat pid)"' EXIT
until [ -s pid ]; do sleep 0.05; done
ask() { curl -s --cacert cert.pem --unix-socket socket "https://localhost/$1"; }
ask echo; ask file
"$BIN/nginx" -p "$WORK" -c "$WORK/conf" -s reload
sleep 0.5; ask file
for process in $(cat pid) $(pgrep -P "$(cat pid)"); do cat "/proc/$process/maps"; done >&3
