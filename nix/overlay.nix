# An overlay for nixpkgs: `indir`, and `indirStdenv`, a stdenv whose packages are
# indirect. Only documented arguments of nixpkgs' wrappers are used. docs/nix.md,
# "nixpkgs", says how to freeze the floor.
final: prev:
let
  tools = with prev; [ bash coreutils findutils gnugrep gnused gnutar binutils-unwrapped ];
  indir = import ./default.nix {
    inherit (prev.stdenv.hostPlatform) system;
    shell = "${prev.bash}/bin/bash";
    PATH = prev.lib.makeBinPath tools;
    indirPackage = final.indir;
    inherit (final.indir) shim;
  };
  libc = prev.stdenv.cc.libc;
  gccLib = prev.stdenv.cc.cc.lib;
  libcStub = indir.stubsOf { pkg = libc; };
  gccStub = indir.stubsOf { pkg = gccLib // { pname = "gcc-lib"; indirection = { compile = gccLib; stubLibDirs = [ "${libcStub}/lib" ]; }; }; };
  linker = indir.bintools { ld = "${prev.binutils-unwrapped}/bin/ld"; };
  bintools = prev.wrapBintoolsWith {
    bintools = prev.symlinkJoin {
      name = "indir-binutils";
      # The first that has a file wins.
      paths = [ linker prev.binutils-unwrapped ];
      passthru = { isGNU = true; };
    };
    libc = libcStub;
  };
in
{
  indir = prev.callPackage ./package.nix { };
  indirStdenv = indir.withIndirection {
    stdenv = prev.overrideCC prev.stdenv (prev.wrapCCWith {
      inherit (prev.stdenv.cc) cc;
      inherit bintools;
      libc = libcStub;
    });
    ordinaryStdenv = prev.stdenv;
    runtime = [ libc (gccLib // { pname = "gcc-lib"; }) ];
    runtimeStubs = [ libcStub gccStub ];
  };
}
