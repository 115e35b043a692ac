# An overlay for nixpkgs: `indir`, and `indirStdenv`, a stdenv whose packages are
# indirect. Only documented arguments of nixpkgs' wrappers are used. docs/nix.md,
# "nixpkgs", says how to use it and what `indirBaseline` is: nixpkgs with this overlay
# at frozen versions, from which everything comes that compiles.
final: prev:
let
  # In a set that config.replaceStdenv made indirect, all of this is there already.
  replaced = prev.stdenv.indirection or null;

  # Of `final`, as nixpkgs puts what its stdenv is made of there after overlays.
  own = rec {
    inherit (prev) stdenv;
    inherit (stdenv.cc) libc;
    # An output of gcc's, of which nothing else is loaded by programs.
    gccLib = let inherit (stdenv.cc.cc) lib; in lib // { pname = "gcc-lib"; inherit lib; outputs = [ "lib" ]; };
    bash = final.bash;
    # An earlier overlay may give another.
    indir = prev.indir or (prev.callPackage ./package.nix { });
    tools = with final; [ bash coreutils findutils gnugrep gnused gnutar binutils-unwrapped ];
    binutils = final.binutils-unwrapped;
    inherit (prev) lib wrapBintoolsWith wrapCCWith overrideCC;
  };
  baseline = final.indirBaseline or null;
  frozen = if baseline == null then own else baseline.indirStdenv.indirection.parts;

  kit = import ./default.nix {
    inherit (own.stdenv.hostPlatform) system;
    shell = "${frozen.bash}/bin/bash";
    PATH = frozen.lib.makeBinPath frozen.tools;
    indirPackage = own.indir;
    linkerPackage = frozen.indir;
  };
  stubsOf = package: stubLibDirs: floor: kit.stubsOf {
    pkg = package // { indirection = { compile = package; inherit stubLibDirs; }; };
    inherit floor;
  };
  libcStub = stubsOf own.libc [ ] (frozen.libcStub or null);
  gccStub = stubsOf own.gccLib [ "${libcStub}/lib" ] (frozen.gccStub or null);
  # What packages ask of the libc of their stdenv beside libraries and headers (`bin`,
  # `static`) is the frozen one's.
  libc = frozen.libc // libcStub // { dev = libcStub; };
  bintools = frozen.wrapBintoolsWith {
    bintools = kit.bintools { real = frozen.binutils; };
    inherit libc;
  };
  indirect = kit.withIndirection {
    stdenv = frozen.overrideCC frozen.stdenv (frozen.wrapCCWith {
      inherit (frozen.stdenv.cc) cc;
      inherit bintools libc;
    });
    ordinaryStdenv = own.stdenv;
    runtime = [ own.libc own.gccLib ];
    runtimeStubs = [ libcStub gccStub ];
    programs = [ { frozen = frozen.bash; current = own.bash; } ];
    referenceOf = package:
      if baseline == null then package
      else
        { glibc = frozen.libc; gcc-lib = frozen.gccLib; }.${package.pname or ""} or
          baseline.${package.pname or ""} or package;
    floorOf = package:
      if baseline == null then null
      else (baseline.${package.pname or ""} or { }).indirection.stubs or null;
  };
  parts = own // { inherit libcStub gccStub; };
in
{
  indir = if replaced == null then own.indir else replaced.parts.indir;
  indirStdenv =
    if replaced != null then prev.stdenv
    else indirect // { indirection = indirect.indirection // { inherit parts; }; };
}
