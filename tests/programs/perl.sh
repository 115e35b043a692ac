# packages: perl
# adopt: /usr/bin/perl
# plugins: /usr/lib/x86_64-linux-gnu/perl-base /usr/lib/x86_64-linux-gnu/perl
# XS modules, a socket pair, fork, a DBM file, locales.
"$BIN/perl" - <<'PERL'
use strict; use warnings;
use List::Util qw(sum first reduce); use POSIX qw(floor strftime setlocale LC_ALL);
use Socket; use Digest::SHA qw(sha256_hex); use MIME::Base64; use Time::HiRes qw(usleep);
use Encode qw(encode decode); use Data::Dumper; use Storable qw(freeze thaw);
use IO::Socket::INET; use Fcntl; use DB_File; use B; use threads; use Compress::Zlib;
print sum(1 .. 100), " ", floor(-1.5), " ", sha256_hex("indir"), " ", encode_base64("indir");
print length(encode("UTF-16LE", "wörter")), " ", strftime("%Y-%m-%d", gmtime(86400 * 365)), "\n";
print decode("iso-8859-15", "\xa4") eq "\x{20ac}" ? "euro\n" : "no euro\n";
print Compress::Zlib::memGunzip(Compress::Zlib::memGzip("squeezed" x 50)) eq "squeezed" x 50 ? "same\n" : "differs\n";
print join(",", @{ thaw(freeze([map { $_ * $_ } 1 .. 5])) }), "\n";
tie my %base, "DB_File", "base.db", O_RDWR | O_CREAT, 0600, $DB_HASH or die;
$base{$_} = $_ x 2 for qw(a b c); print join(",", map { "$_=$base{$_}" } sort keys %base), "\n";
socketpair(my $one, my $two, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
if (!fork) { syswrite $two, "from a child"; exit 0 }
sysread $one, my $said, 100; wait; print "$said $?\n";
print threads->create(sub { sum(@_) })->join // "", threads->create(sub { return "thread" })->join, "\n";
print qx($^X -MPOSIX -e 'print "child ", POSIX::toupper("x"), "\n"' 2>&1) =~ /child|toupper/ ? "child\n" : "none\n";
open my $maps, "<", "/proc/self/maps"; open my $out, ">&=", 3; print $out $_ while <$maps>;
PERL
