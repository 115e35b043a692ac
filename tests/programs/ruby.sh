# packages: ruby
# adopt: /usr/bin/ruby3.1
# plugins: /usr/lib/x86_64-linux-gnu/ruby
"$BIN/ruby3.1" - <<'RUBY'
require 'openssl'; require 'json'; require 'psych'; require 'zlib'; require 'digest'
require 'socket'; require 'fiddle'; require 'bigdecimal'; require 'date'; require 'stringio'; require 'etc'
puts Digest::SHA256.hexdigest("indir"), JSON.dump({a: [1, nil]}), [1, {"b" => 2}].to_yaml
puts Zlib::Inflate.inflate(Zlib::Deflate.deflate("x" * 1000)).size, BigDecimal("1") / 3, Date.new(2020, 2, 29).yday
key = OpenSSL::PKey::EC.generate("prime256v1"); data = OpenSSL::Digest.digest("SHA256", "indir")
puts key.dsa_verify_asn1(data, key.dsa_sign_asn1(data))
puts Fiddle::Function.new(Fiddle.dlopen(nil)['labs'], [Fiddle::TYPE_LONG], Fiddle::TYPE_LONG).call(-9)
server = TCPServer.new("127.0.0.1", 0)
thread = Thread.new { server.accept.then { |peer| peer.puts peer.gets.reverse.strip; peer.close } }
TCPSocket.open("127.0.0.1", server.addr[1]) { |peer| peer.puts "rever"; puts peer.gets }
thread.join; puts Etc.getpwuid(0).name, IO.popen(["true"]).close.inspect
IO.for_fd(3).write(File.read("/proc/self/maps"))
RUBY
