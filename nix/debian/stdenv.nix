# A standard environment on Debian's tools, for testing without nixpkgs: the
# programs of /usr, with a libc, a compiler's runtime and libraries of the store.
#
# libc: a package with lib (and crt objects) and dev; gccLib: libstdc++, libgcc_s;
# linker: the program that the linker's wrapper runs; attributes: of every package.
arguments@{ libc, gccLib, linker ? "/usr/bin/ld", gccVersion ? "12", attributes ? { } }:
let
  system = "x86_64-linux";
  shell = "/bin/bash";
  run = import ../run.nix { inherit system shell; PATH = "/usr/bin:/bin"; };
  dev = package: package.dev or package;
  lib = package: package.lib or package;
in
rec {
  inherit shell system libc gccLib;
  override = change: import ./stdenv.nix (arguments // change);
  runCommand = run;

  bintools = run "bintools-wrapper" {
    prog = linker;
    libc = lib libc;
    gccLib = lib gccLib;
    wrapper = ./ld-wrapper.sh;
  } ''
    mkdir -p $out/bin $out/nix-support
    for name in ld ld.bfd; do
      substitute() { sed "s|@out@|$out|g; s|@prog@|$prog|g" $wrapper >$1; chmod +x $1; }
      substitute $out/bin/$name
    done
    for name in as ar nm ranlib strip objcopy objdump readelf; do ln -s /usr/bin/$name $out/bin; done
    echo "-L$libc/lib -L$gccLib/lib" >$out/nix-support/libc-ldflags
    echo "$libc/lib/ld-linux-x86-64.so.2" >$out/nix-support/dynamic-linker
  '';

  cc = run "cc-wrapper" {
    inherit bintools;
    libc = dev libc;
    libcLib = lib libc;
    wrapper = ./cc-wrapper.sh;
    gcc = "/usr/lib/gcc/x86_64-linux-gnu/${gccVersion}";
    cxx = "/usr/include/c++/${gccVersion}";
    cxxArch = "/usr/include/x86_64-linux-gnu/c++/${gccVersion}";
  } ''
    mkdir -p $out/bin $out/nix-support
    for name in gcc g++ cpp; do
      sed "s|@out@|$out|g; s|@bintools@|$bintools|g; s|@prog@|/usr/bin/$name|g" $wrapper >$out/bin/$name
      chmod +x $out/bin/$name
    done
    ln -s gcc $out/bin/cc
    ln -s g++ $out/bin/c++
    echo "-isystem $gcc/include -isystem $libc/include -B$libcLib/lib/" >$out/nix-support/libc-cflags
    echo "-isystem $cxx -isystem $cxxArch -isystem $cxx/backward" >$out/nix-support/libcxx-cxxflags
  '';

  mkDerivation = attrs:
    let
      # What is compiled against a package is its output dev, which names the others.
      inputs = builtins.mapAttrs (_: map dev) {
        buildInputs = attrs.buildInputs or [ ];
        propagatedBuildInputs = attrs.propagatedBuildInputs or [ ];
      };
      drv = derivation ({
        inherit system cc bintools;
        name = attrs.name or "${attrs.pname}-${attrs.version}";
        builder = shell;
        args = [ ./setup.sh ];
        NIX_STORE = builtins.storeDir;
      } // attributes // builtins.removeAttrs attrs [ "meta" "passthru" ] // inputs);
      common = drv // {
        inherit (attrs) pname version;
        buildInputs = attrs.buildInputs or [ ];
        propagatedBuildInputs = attrs.propagatedBuildInputs or [ ];
        overrideAttrs = f: mkDerivation (attrs // f attrs);
      } // attrs.passthru or { };
    in
    common // builtins.listToAttrs (map
      (name: { inherit name; value = common // drv.${name} // { outputSpecified = true; outputName = name; }; })
      (attrs.outputs or [ "out" ]));
}
