# A nixpkgs whose packages are indirect: `import ./nixpkgs.nix { nixpkgs = <tree>; }`
# takes the arguments of that tree and gives its package set.
#
# Indirection is a stage, as in cross compilation: a frozen set, ordinary and of any
# earlier time, is the build platform; the packages of this set are the host's. So
# nixpkgs' own splicing takes all that runs during a build (tools, hooks, wrappers,
# nested sets) from the frozen set, by attribute path.
arguments@{
  # A tree of nixpkgs, and the one that compilers, tools and references are of. It moves
  # when these are to move: everything is compiled then.
  nixpkgs
, frozen ? nixpkgs
  # The overlays of the frozen set.
, frozenOverlays ? [ ]
, localSystem ? { inherit (arguments) system; }
, overlays ? [ ]
, config ? { }
  # A package with bin/indir and bin/indir-ld; null builds it from source by the frozen set.
, indir ? null
  # A file that hashes.sh wrote: with it no experimental feature of Nix is needed.
, hashes ? null
  # Whether a package's stubs are those of its frozen build. libc's always are.
, hasFloor ? (package: false)
  # Whether packages see stand-ins, and further trees that may stand in for a package.
, standIns ? false
, historyOf ? (package: [ ])
  # Whether checks need not run again for what they cannot reach, see docs/nix.md; and
  # further builds of a package that may stand for today's.
, reach ? false
, buildsOf ? (package: [ ])
, reachSample ? 50
  # nixpkgs' own: the stages of the frozen set.
, frozenStages ? null
  # The libc that programs run on, if not the tree's own.
, libc ? null
  # Whether the set's bash takes the place of the frozen one in what is built.
, namesShell ? true
, ...
}:
let
  own = [ "nixpkgs" "frozen" "frozenOverlays" "indir" "hashes" "hasFloor" "standIns" "historyOf" "reach" "buildsOf" "reachSample" "frozenStages" "libc" "namesShell" "system" ];
  given = removeAttrs arguments own // { inherit localSystem; };
  at = tree: import (tree + "/pkgs/top-level");

  before = at frozen (given // { overlays = frozenOverlays; }
    // (if frozenStages == null then { } else { stdenvStages = frozenStages; }));
  plain = before.stdenv.override { overrides = _: _: { }; allowedRequisites = null; };
  staged = stage: { config, overlays, ... }: [
    (_: { __raw = true; } // before)
    (_: { inherit config overlays; selfBuild = false; } // stage)
  ];
  # The packages of the tree as ordinary ones, for those that are no clients of libc.
  ordinary = at nixpkgs (given // { stdenvStages = staged { stdenv = plain; }; });
  glibc = if arguments.libc or null == null then ordinary.glibc else arguments.libc;

  set = at nixpkgs (given // { stdenvStages = stages; });
  stages = stage@{ lib, localSystem, crossSystem, config, overlays, crossOverlays ? [ ] }:
    let
      supported = crossSystem == localSystem && crossOverlays == [ ]
        && localSystem.system == "x86_64-linux" && localSystem.isGnu && !localSystem.isStatic
        && !(config ? replaceStdenv);
    in
    # Anything else is what the tree makes of it.
    if supported then staged { inherit stdenv; } stage
    else import (nixpkgs + "/pkgs/stdenv") stage;

  inherit (before.stdenv) cc;
  kit = import ./default.nix {
    inherit (before.stdenv.buildPlatform) system;
    shell = "${before.bash}/bin/bash";
    PATH = before.lib.makeBinPath
      (with before; [ bash coreutils findutils gnugrep gnused gnutar binutils-unwrapped ]);
    indirPackage = if indir == null then before.callPackage ./package.nix { } else indir;
    shimHash = known.indir-shim or known."*" or null;
    interpreter = "${cc.libc}/lib/ld-linux-x86-64.so.2";
    referenceDirs = [ "${cc.cc.lib}/lib" ];
  };
  known = if hashes == null then { } else builtins.fromJSON (builtins.readFile hashes);
  # `*` stands for all that have none yet.
  hashOf = package: known.${package.name} or known."*" or null;

  libcStub = kit.stubsOf {
    pkg = glibc;
    # The headers of two builds of one glibc do differ.
    floor = cc.libc;
    hash = hashOf glibc;
  };
  # What packages ask of the libc of their stdenv beside libraries and headers (`bin`,
  # `static`) is the frozen one's.
  linked = cc.libc // libcStub // { dev = libcStub; };
  gccLib = kit.sealed { pkg = cc.cc.lib; name = "gcc-lib"; };
  shell = if !namesShell then null else {
    frozen = before.bash;
    current = set.bash;
    # By the frozen set, as this one's answer would need itself.
    except = map (node: node.key) (builtins.genericClosure {
      startSet = [ { key = before.bash.pname; package = before.bash; } ];
      operator = node: map (package: { key = package.pname or package.name; inherit package; })
        (builtins.filter builtins.isAttrs (node.package.buildInputs or [ ] ++ node.package.propagatedBuildInputs or [ ]));
    });
  };
  packageOf = kit.packageIn set;

  # Where splicing did not see a package: in a set that another set is an argument of.
  frozenOf = { pname, package }:
    let found = before.${pname} or null; in
    if found ? version && found.version == package.version or null then found else null;

  stdenv =
    let
      bintools = before.wrapBintoolsWith {
        bintools = kit.bintools { real = before.binutils-unwrapped; };
        libc = linked;
      };
      indirect = kit.indirect {
        stdenv = before.overrideCC plain (before.wrapCCWith { inherit (cc) cc; inherit bintools; libc = linked; });
        ordinaryStdenv = plain;
        runtime = [ glibc gccLib ];
        runtimeStubs = [ libcStub ];
        inherit hasFloor standIns historyOf reach buildsOf reachSample hashOf frozenOf shell packageOf;
      };
      environments = kit.environments indirect.indirection;
    in
    indirect // {
      # What is no client of libc, and what this set is for.
      overrides = self: super: (if arguments.libc or null != null then { } else builtins.intersectAttrs ordinary {
        inherit (ordinary) glibcLocales glibcLocalesUtf8 glibcInfo glibc_multi mtrace;
      }) // {
        inherit glibc;
        # For hooks that overlays name without splicing.
        targetPackages = self;
        indirection = rec {
          frozen = before;
          inherit (kit) indir shim;
          inherit (environments) tablesOf;
          runnable = environments.runnable launcher;
          launcher = kit.launcher { inherit (self) bash; inherit tablesOf; };
          # For hashes.sh: all that some packages are compiled against, and the shim.
          hashed = packages: { indir-shim = kit.shim; ${glibc.name} = libcStub; } // builtins.listToAttrs (map
            (package: { inherit (package) name; value = package.indirection.stubs; })
            (builtins.filter (package: package ? indirection)
              (indirect.indirection.closureBy (package: package.indirection.inputs or [ ]) (packages self))));
        };
      };
    };
in
set
