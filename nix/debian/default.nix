# The package set of packages.nix, the ordinary way and with indirection, on any of
# the real builds of glibc. For the tests, and to read how the parts of ../ fit.
{
  # A prebuilt indir; the one that links, if another.
  exe
, linkerExe ? exe
  # tests/scripts/nix-fetch.sh leaves them there.
, cache
, sources ? "slice"
  # Names of package => function from its attributes to changed ones.
, changes ? { }
  # Further packages, by pname.
, more ? (stdenv: packages: { })
  # A Debian version of glibc in the cache.
, glibc ? "old"
  # Whether stubs are those of frozen builds; libc's always are.
, floors ? true
  # Whether packages see stand-ins, in place of floors.
, standIns ? false
  # Whether checks need not run again for what they cannot reach; names of packages =>
  # functions of earlier builds' attributes, earliest first; and how many run all the same.
, reach ? false
, builds ? { }
, reachSample ? 50
  # Packages whose floor is raised: their stubs are those of today's build.
, raised ? [ ]
  # Hashes of stub trees, and of the shim: fixed outputs in place of content-addressed ones.
, hashes ? { }
, frozen ? "old"
  # Libraries that `system` is told of, see docs/nix.md, "Environments".
, libraries ? [ ]
, prefer ? [ ]
  # For `tablesAgain`.
, round ? ""
}:
let
  system = "x86_64-linux";
  # Without symlinks: a store path must not depend on where the cache is.
  at = path: /. + path;
  shell = "/bin/bash";
  PATH = "/usr/bin:/bin";
  run = import ../run.nix { inherit system shell PATH; };
  glibcOf = name: import ./glibc.nix (glibcArguments name);
  glibcArguments = name: {
    inherit run;
    version = allSources."glibc-${name}";
    runtime = at "${cache}/glibc/${name}";
    development = at "${cache}/glibc-dev/${if name == "trixie" then "bookworm" else name}";
    kernelHeaders = at "${cache}/nix-gcc/linux-libc-dev";
  };
  gccLibOf = rpath: import ./gcc-lib.nix {
    inherit run rpath;
    version = "12";
    libstdcxx = at "${cache}/nix-gcc/libstdc++6";
    libgcc = at "${cache}/nix-gcc/libgcc-s1";
  };
  allSources = import (at "${cache}/nix-sources.${sources}.nix");
  set = mkDerivation: changes: import ./packages.nix { inherit mkDerivation changes; sources = allSources; };

  # What package.nix builds from source, from an executable that is there already.
  installed = executable: run "indir"
    {
      exe = builtins.path { path = executable; name = "indir-executable"; };
    } "$exe setup --prefix $out";
  ordinary = { libc, changes }:
    let
      gccLib = gccLibOf libc;
      stdenv = import ./stdenv.nix { inherit libc gccLib; };
    in
    rec {
      inherit stdenv gccLib libc;
      packages = set stdenv.mkDerivation changes // more stdenv packages;
    };

  # `*` stands for all that have none yet.
  hashOf = package: hashes.${package.pname} or hashes."*" or null;

  # What compiles and is run meanwhile: an ordinary set, of an earlier time.
  baseline = before { };
  indir = import ../. {
    inherit system shell PATH;
    indirPackage = installed exe;
    linkerPackage = installed linkerExe;
    shimHash = hashOf { pname = "indir-shim"; };
    interpreter = "${baseline.libc}/lib/ld-linux-x86-64.so.2";
    # Debian's ld.so looks into Debian's folders by itself.
    referenceDirs = [ "${baseline.libc}/lib" "${baseline.gccLib}/lib" ];
  };

  indirect = { libc, changes }:
    let
      gccLib = gccLibOf null;
      libcStub = indir.stubsOf {
        pkg = libc;
        # The headers of two builds of glibc do differ.
        floor = baseline.libc;
        hash = hashOf libc;
      };
      wrapped = indir.indirect {
        stdenv = import ./stdenv.nix {
          libc = libcStub;
          inherit gccLib;
          linker = "${indir.bintools { real = "/usr"; names = [ "ld" ]; }}/bin/ld";
        };
        ordinaryStdenv = baseline.stdenv;
        runtime = [ libc gccLib ];
        runtimeStubs = [ libcStub ];
        inherit standIns reach reachSample;
        # An earlier build is this set's own, of then.
        buildsOf = package: map
          (change: (indirect { inherit libc; changes = { ${package.pname} = change; }; }).packages.${package.pname})
          (builds.${package.pname} or [ ]);
        hasFloor = package: floors && !standIns && !builtins.elem package.pname raised && baseline.packages ? ${package.pname};
        inherit hashOf;
        frozenOf = { pname, package }: baseline.packages.${pname} or null;
        packageOf = indir.packageIn packages;
      };
      packages = set wrapped.mkDerivation changes // more wrapped packages;
      environments = indir.environments wrapped.indirection;
    in
    {
      inherit packages libc gccLib libcStub;
      inherit (wrapped) mkDerivation;
      inherit (environments) tablesOf;
      # For hashes.sh.
      hashed = of: { indir-shim = indir.shim; glibc = libcStub; } // builtins.listToAttrs (map
        (package: { name = package.pname; value = package.indirection.stubs; })
        (wrapped.indirection.closureBy (package: package.indirection.inputs) (of packages)));
      # Without a bash of the set, Debian's.
      runnable = environments.runnable (
        if packages ? bash then indir.launcher { inherit (packages) bash; inherit (environments) tablesOf; }
        else run "sh" { } "mkdir -p $out/bin; ln -s /bin/bash $out/bin/sh" // { pname = "sh"; });
    };
  current = indirect { libc = glibcOf glibc; inherit changes; };
  # Rewriting hashes needs names of one length.
  padded = name: let libc = glibcOf name; in
    import ./glibc.nix ((glibcArguments name) // {
      version = builtins.replaceStrings [ "deb12u7" ] [ "deb12u07" ] libc.version;
    });
  plain = ordinary { libc = padded glibc; inherit changes; };
  before = changes: ordinary { libc = padded frozen; inherit changes; };
  rewritten = import ./rewrite.nix {
    inherit run;
    inherit (before { }) packages;
    replacements = (before changes).packages;
    runtime = [
      { old = (before { }).libc.out; new = plain.libc.out; }
      { old = (before { }).gccLib; new = plain.gccLib; }
    ];
  };
  # What others may download: all but tables, stubs and build trees.
  only = package: output: package.${output} // { outputSpecified = true; };
  published = package:
    map (only package) (builtins.filter (output: output != "buildtree") (package.outputs or [ "out" ]));
  uploadOf = ordinary: packages:
    builtins.concatMap published packages ++ [ (only ordinary.libc "out") ordinary.gccLib ];
  everything = name: packages: run name { packages = builtins.attrValues packages; } ''
    mkdir -p $out/bin
    for package in $packages; do
      for file in $package/bin/*; do [ ! -e $file ] || ln -sf $file $out/bin; done
    done
    echo $packages >$out/packages
  '';
  tables = current.tablesOf {
    name = "system-tables";
    packages = builtins.attrValues current.packages;
    inherit libraries prefer;
  };
  # To measure what tables take: the derivation of them, and one that does nothing.
  again = change: derivation (tables.drvAttrs // { inherit round; } // change);
in
{
  # All outputs of all packages, as compiled.
  compiled = builtins.concatMap
    (package: map (only package) (package.outputs or [ "out" ]))
    (builtins.attrValues current.packages);
  tablesAgain = again { };
  nothing = again { args = [ "-ec" ": >$out" ]; };
  inherit baseline current indir tables;
  ordinary = plain;
  inherit (indir) shim;
  # What a machine runs.
  system = run "system" { programs = everything "programs" current.packages; inherit tables; } ''
    mkdir $out
    ln -s $programs/bin $programs/packages $tables/tables $out
  '';
  upload = builtins.concatMap published (builtins.attrValues current.packages)
    ++ [ (only current.libc "out") current.gccLib indir.indir indir.shim ];
  ordinarySystem = everything "system" plain.packages;
  ordinaryUpload = uploadOf plain (builtins.attrValues plain.packages);
  # The frozen ordinary system, moved to `glibc` and `changes` by rewriting.
  rewrittenSystem = everything "system" rewritten.packages;
  rewriteUpload = uploadOf (before { }) (builtins.attrValues (before { }).packages)
    ++ uploadOf plain rewritten.replaced;
}
