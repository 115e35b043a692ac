# nixpkgs itself on Debian's tools: its stdenv, its wrappers, its packages and the stages
# of ../nixpkgs.nix are the real ones; the compiler, binutils and Unix tools below them
# are Debian's, libc is that of glibc.nix. So nothing has to be bootstrapped. docs/nix.md,
# "What was tested".
{
  # A tree of nixpkgs.
  nixpkgs
  # A prebuilt indir.
, exe
  # tests/scripts/nix-fetch.sh leaves them there.
, cache
, sources ? "slice"
, glibc ? "old"
, frozen ? "old"
  # A file of hashes.
, hashes ? null
  # Further overlays, for the current set only.
, changes ? [ ]
}:
let
  system = "x86_64-linux";
  at = path: /. + path;
  run = import ../run.nix { inherit system; shell = "/bin/bash"; PATH = "/usr/bin:/bin"; };
  fetched = import (at "${cache}/nix-sources.${sources}.nix");

  libcOf = glibc: import ./glibc.nix {
    inherit run;
    version = fetched."glibc-${glibc}";
    runtime = at "${cache}/glibc/${glibc}";
    development = at "${cache}/glibc-dev/${if glibc == "trixie" then "bookworm" else glibc}";
    kernelHeaders = at "${cache}/nix-gcc/linux-libc-dev";
  };
  # The stages of the frozen set.
  stages =
    let
      libc = libcOf frozen;
      gccLib = import ./gcc-lib.nix {
        inherit run;
        version = "12";
        libstdcxx = at "${cache}/nix-gcc/libstdc++6";
        libgcc = at "${cache}/nix-gcc/libgcc-s1";
        rpath = libc;
      };
      # Debian's linker knows Debian's folders.
      binutils = run "debian-binutils" { } ''
        mkdir -p $out/bin
        ln -s /usr/bin/{ar,as,c++filt,nm,objcopy,objdump,ranlib,readelf,size,strings,strip} $out/bin
        for name in ld ld.bfd ld.gold; do
          printf '#!/bin/bash\nexec /usr/bin/%s -nostdlib "$@"\n' $name >$out/bin/$name
        done
        chmod +x $out/bin/ld*
      '' // { isGNU = true; };
      # In the store, or the wrappers would take its own folder for impure.
      gcc = run "debian-gcc-12" { } ''
        mkdir -p $out/bin $out/lib/gcc/x86_64-linux-gnu $out/include/x86_64-linux-gnu/c++
        for name in gcc g++ cpp; do cp /usr/bin/$name-12 $out/bin/$name; done
        cp -a /usr/lib/gcc/x86_64-linux-gnu/12 $out/lib/gcc/x86_64-linux-gnu
        cp -rL /usr/include/c++ $out/include
        cp -rL /usr/include/x86_64-linux-gnu/c++/12 $out/include/x86_64-linux-gnu/c++
        chmod -R u+w $out
        rm -f $out/lib/gcc/x86_64-linux-gnu/12/libstdc++.so
      '' // { isGNU = true; lib = gccLib; langC = true; langCC = true; version = "12"; };
      program = name: tools: run name { inherit tools; } ''
        mkdir -p $out/bin
        for tool in $tools; do ln -s /usr/bin/$tool $out/bin; done
      '' // { pname = name; shellPath = "/bin/bash"; };
      unix = builtins.mapAttrs program {
        bash = [ "bash" ];
        coreutils = [ "basename" "cat" "chmod" "cp" "cut" "dirname" "head" "ln" "mkdir" "mv" "readlink" "rm" "sort" "tr" ];
        findutils = [ "find" "xargs" ];
        diffutils = [ "cmp" "diff" ];
        gnugrep = [ "grep" ];
        gnused = [ "sed" ];
        gnutar = [ "tar" ];
      };
    in
    { lib, localSystem, config, overlays, ... }:
        let
          build = name: nixpkgs + "/pkgs/build-support/${name}";
          generic = cc: import (nixpkgs + "/pkgs/stdenv/generic") {
            inherit config cc;
            buildPlatform = localSystem;
            hostPlatform = localSystem;
            targetPlatform = localSystem;
            shell = "/bin/bash";
            initialPath = [ "/" "/usr" ];
            inherit fetchurlBoot;
            overrides = self: super: unix // { binutils-unwrapped = binutils; fetchurl = fetchurlBoot; };
          };
          stdenvNoCC = generic null;
          # Downloads nothing: what it names has to be in the store.
          fetchurlBoot = import (build "fetchurl") { inherit lib stdenvNoCC; curl = null; };
          wrapper = {
            inherit lib stdenvNoCC libc;
            inherit (unix) coreutils gnugrep;
            runtimeShell = "/bin/bash";
            nativeTools = false;
            nativeLibc = false;
            expand-response-params = "";
          };
          bintools = import (build "bintools-wrapper") (wrapper // { bintools = binutils; });
          cc = import (build "cc-wrapper") (wrapper // { cc = gcc; inherit bintools; });
        in
        [
          ({ }: { __raw = true; })
          (_: { inherit config overlays; stdenv = generic cc; })
        ];
  # nixpkgs' own expressions, with the sources that Debian has.
  debianSources = final: prev:
    builtins.mapAttrs
      (name: source: prev.${name}.overrideAttrs (_: {
        version = builtins.replaceStrings [ "+dfsg2" "+dfsg" ".dfsg" ] [ "" "" "" ] source.version;
        src = builtins.path { inherit (source) path sha256; recursive = false; name = baseNameOf source.path; };
        patches = [ ];
      }))
      { inherit (fetched) zlib file lzip; xz = fetched.xz-utils; } // {
      # What packages of nixpkgs do: structured attributes, an output as an input,
      # nixpkgs' makeWrapper, a patched `#!`, tests on what is installed.
      indirParts = final.stdenv.mkDerivation (finalAttrs: {
        pname = "parts";
        version = "1";
        src = ./parts;
        __structuredAttrs = true;
        strictDeps = true;
        nativeBuildInputs = [ final.makeWrapper ];
        buildInputs = [ final.zlib.dev null [ final.bash ] ];
        makeFlags = [ "PREFIX=${placeholder "out"}" ];
        postInstall = ''
          rm $out/bin/parts
          makeWrapper $out/bin/.parts-wrapped $out/bin/parts --set PARTS_WRAPPER $out/bin/parts
          printf '#!/bin/sh\nexec parts\n' >$out/bin/script
          chmod +x $out/bin/script
        '';
        doInstallCheck = true;
        installCheckPhase = ''
          runHook preInstallCheck
          $out/bin/parts | grep "plugin 42"
          runHook postInstallCheck
        '';
        passthru.itself = finalAttrs.finalPackage;
      });
    };
in
rec {
  current = import ../nixpkgs.nix {
    inherit nixpkgs system hashes;
    config.allowUnsupportedSystem = true;
    frozenStages = stages;
    frozenOverlays = [ debianSources ];
    overlays = [ debianSources (final: prev: { inherit (final.buildPackages) fetchurl bash runtimeShell; }) ] ++ changes;
    libc = libcOf glibc;
    indir = run "indir" { exe = builtins.path { path = at exe; name = "indir-executable"; }; } "$exe setup --prefix $out";
    # Scripts say /bin/bash.
    namesShell = false;
  };
  baseline = current.indirection.frozen;
}
