# A stdenv whose packages are compiled against stubs and name no build of a library:
# `${package}` is that compiled output, and stays what it is when a library is upgraded.
# Their tables are made for environments (tables-of.nix). docs/nix.md has every attribute.
arguments@{
  # A stdenv whose libc is a stub tree and whose linker is that of bintools.nix.
  stdenv
  # An ordinary one: for packages with `dontIndir`, and for references.
, ordinaryStdenv
, indir
, hook
, stubsOf
, standsFor
, run
  # What every program may need beside its inputs: libc, the compiler's libraries.
, runtime
  # Stub trees of `runtime`.
, runtimeStubs
  # Whether a package's stubs are those of its frozen build, and it is checked for them.
, hasFloor ? (package: false)
  # Whether each package sees, of each library, the earliest tree that it cannot tell from
  # today's: that of the frozen build or one of `historyOf`, earliest first.
, standIns ? false
, historyOf ? (package: [ ])
  # Whether a package's check gets, of each library, the earliest build that its programs cannot
  # tell from today's: the frozen one, then those of `buildsOf`, earliest first. One in
  # `reachSample` of the checks that need not run does.
, reach ? false
, buildsOf ? (package: [ ])
, reachSample ? 50
  # From a package to the hash of its stub tree, or null: fixed outputs.
, hashOf ? (package: null)
  # From a package to its frozen build, where that is not spliced; or null.
, frozenOf ? (package: null)
  # From a `.drv` to the package of the set that it is of, or null.
, packageOf ? (drv: null)
  # The shell that builds write into `#!` lines: { frozen; current; except }, the last
  # being the names of what it is itself made of; or null.
, shell ? null
}:
let
  inherit (builtins)
    any attrNames concatMap elem elemAt filter foldl' genList genericClosure intersectAttrs isAttrs isFunction isList length listToAttrs map
    mapAttrs removeAttrs unsafeDiscardStringContext;
  # As nixpkgs reads lists of inputs: nested, with nulls.
  flatten = x: if isList x then concatMap flatten x else if x == null then [ ] else [ x ];
  listed = name: args: flatten (args.${name} or [ ]);
  isIndirect = package: package ? indirection;
  libOf = package: package.lib or package.out or package;
  ownLibDir = package: package.indirection.libDir or "${libOf package}/lib";
  nameOf = args: args.pname or (builtins.parseDrvName args.name).name;

  # Each package once, however many ways lead to it.
  node = package: { key = unsafeDiscardStringContext (package.drvPath or "${package}"); inherit package; };
  closureBy = operator: packages: map (n: n.package) (genericClosure {
    startSet = map node packages;
    operator = n: map node (operator n.package);
  });
  # A package and what its libraries need.
  closure = closureBy (package: package.indirection.inputs or [ ]);
  # A package and what reaches all who use it; most propagate nothing.
  withPropagated = packages:
    if any (package: package.indirection.propagated or [ ] != [ ]) packages
    then closureBy (package: package.indirection.propagated or [ ]) packages
    else packages;

  stubs = package: package.indirection.stubs or package;
  # Of what is no client of stubs.
  interpreter = "${libOf (builtins.head runtime)}/lib/ld-linux-x86-64.so.2";
  # nixpkgs' wrappers read their variables by the platform's name.
  salt = stdenv.cc.suffixSalt or "";
  outputOf = from: package:
    if package.outputSpecified or false then from.${package.outputName or "out"} or from else from;
  # The build of a package that runs while others are compiled.
  reference = package: package.__spliced.buildHost or (outputOf package.indirection.reference package);
  # nixpkgs itself takes what is spliced.
  native = package: if package ? __spliced || !isIndirect package then package else reference package;

  # Trees that may stand in for those of a package, the earliest first.
  historyFor = package:
    let frozen = package.__spliced.buildHost or (frozenOf { inherit (package) pname; inherit package; }); in
    if !standIns then [ ]
    else historyOf package
      ++ (if frozen == null then [ ] else [ (stubsOf { pkg = frozen; inherit (package.indirection) stubDirs; }) ]);

  # Where what is named in an output is found again when it is run: interpreters and
  # their modules, by nixpkgs' own marks.
  isNamed = package: package ? pythonModule || package ? perlModule || package ? luaModule
    || package ? interpreter || package ? shellPath;

  natives = [
    "depsBuildBuild" "depsBuildBuildPropagated" "nativeBuildInputs" "propagatedNativeBuildInputs"
    "depsBuildTarget" "depsBuildTargetPropagated"
  ];
  hosts = [ "depsHostHost" "depsHostHostPropagated" "buildInputs" "propagatedBuildInputs" ];
  # As sets, since these are evaluated for each package.
  setOf = names: listToAttrs (map (name: { inherit name; value = null; }) names);
  nativeSet = setOf natives;
  hostSet = setOf hosts;
  inputSet = nativeSet // hostSet;
  # What is ours, and what stays as it is.
  ours = [ "dontIndir" "indirNamed" "indirSeesNew" "indirWords" "indirReach" ];
  ownAttrs = ours ++ [ "doCheck" "passthru" "meta" ];
  # Not looked into for names of libraries.
  unread = { src = null; srcs = null; patches = null; };
  notShared = ownAttrs ++ natives ++ hosts ++ attrNames unread;

  exchangeFor = import ./exchange.nix { inherit packageOf; };

  # As the ordinary stdenv builds it, with references for inputs.
  referenceOf = args: ordinaryStdenv.mkDerivation (removeAttrs args ours
    // mapAttrs (name: value: map (p: if isIndirect p then reference p else p) (flatten value))
    (intersectAttrs inputSet args));

  ordinary = from: args:
    let
      all = filter isAttrs (listed "buildInputs" args ++ listed "propagatedBuildInputs" args);
      inputs = filter isIndirect all;
      others = filter (package: !isIndirect package) all;
      # Libraries of the set name no library path: the program names them all, and no
      # frozen one.
      flags = "-dynamic-linker ${interpreter} "
        + toString (map (dir: "-rpath ${dir} -rpath-link ${dir}")
        (map ownLibDir (closure inputs ++ runtime) ++ map ownLibDir others)) + " --disable-new-dtags ";
    in
    from.mkDerivation (removeAttrs args ours // {
      # Or it would lose the folders of what its libraries need.
      dontPatchELF = true;
      NIX_DONT_SET_RPATH = 1;
    } // (if salt == "" then { } else { "NIX_DONT_SET_RPATH_${salt}" = 1; }) // (if args ? env.NIX_LDFLAGS
    then { env = args.env // { NIX_LDFLAGS = flags + args.env.NIX_LDFLAGS; }; }
    else { NIX_LDFLAGS = flags + (args.NIX_LDFLAGS or ""); }));

  indirect = { args, overrideAttrs }:
    let
      pname = nameOf args;
      propagated = listed "propagatedBuildInputs" args;
      inputs = listed "buildInputs" args ++ propagated;
      libraries = filter isIndirect inputs;
      reached = withPropagated inputs;
      # What is of no frozen set and may be named: data, and packages that are ordinary.
      others = concatMap
        (p: if isAttrs p then map (o: p.${o}) (filter (o: p ? ${o}) [ "out" "bin" "lib" "dev" ]) else [ p ])
        (filter (p: !isIndirect p) inputs);
      outputs = args.outputs or [ "out" ];
      tested = args.doCheck or false;

      named = filter isIndirect (filter isNamed inputs ++ listed "indirNamed" args);
      namedDrvs = listToAttrs (map (p: { name = unsafeDiscardStringContext p.drvPath; value = null; }) named);
      exchange = exchangeFor (map (p: if standIns then p // { indirection = p.indirection // { stubs = seen p; }; } else p)
        (filter (p: !(namedDrvs ? ${unsafeDiscardStringContext p.drvPath})) libraries));
      usesShell = shell != null && !elem pname shell.except;

      forAll = names: change: mapAttrs (name: value: map change (flatten value)) (intersectAttrs names args);
      # OLD NEW of every output of what may be named.
      pairs = concatMap
        (p: concatMap (o: [ "${p.frozen.${o}}" "${p.current.${o}}" ])
          (filter (o: p.frozen ? ${o}) (p.current.outputs or [ "out" ])))
        (map (current: { frozen = reference current; inherit current; }) named
          ++ (if usesShell then [ shell ] else [ ]));

      # What the package sees of its libraries, where there is something to choose.
      key = package: unsafeDiscardStringContext package.drvPath;
      seesNew = map key (filter isIndirect (listed "indirSeesNew" args));
      choosing = filter (p: !(elem (key p) seesNew) && historyFor p != [ ])
        (if standIns then filter isIndirect reached else [ ]);
      chosen = import ./stand-ins.nix { inherit indir; } {
        inherit stdenv pname;
        attrs = args // forAll nativeSet native;
        libraries = map (p: { history = historyFor p; new = stubs p; }) choosing;
        others = map stubs (filter (p: !(isIndirect p) || !(elem (key p) (map key choosing))) reached)
          ++ runtimeStubs;
        words = listed "indirWords" args;
      };
      outputsOf = listToAttrs (genList
        (index: { name = key (elemAt choosing index); value = chosen.${chosen.outputOf index}; })
        (length choosing));
      seen = package:
        if standIns && isIndirect package then outputsOf.${key package} or (stubs package) else stubs package;

      # The small ones first, as each `//` copies both sides. Names of attributes
      # never depend on inputs: a package that is overridden may have some that do not
      # evaluate.
      shared = exchange (removeAttrs args notShared) // (intersectAttrs unread args
        // forAll nativeSet native
        // forAll hostSet seen
        // {
        nativeBuildInputs = map native (listed "nativeBuildInputs" args) ++ [ hook ];
        # Stubs first, then frozen builds of the same: their programs, data and modules.
        buildInputs = map seen reached ++ map reference libraries;
        indirNamed = toString pairs;
        indirOrdinary = toString others;
      });
      compile = stdenv.mkDerivation (shared // {
        outputs = outputs ++ (if tested then [ "buildtree" ] else [ ]);
        doCheck = false;
        indirStep = "compile";
        meta = args.meta or { };
        passthru = args.passthru or { } // {
          inherit overrideAttrs indirection;
          # What expressions ask a package for.
          buildInputs = listed "buildInputs" args;
          propagatedBuildInputs = propagated;
        };
      });

      # Each library with those before it as they were chosen and those behind it as they are
      # now: so that nothing is told from the last choice to today's set.
      reaches = reach && (args.indirReach or true);
      standing = foldl'
        (done: package:
          let
            frozen = package.__spliced.buildHost or (frozenOf { inherit (package) pname; inherit package; });
            history = (if frozen == null then [ ] else [ frozen ]) ++ buildsOf package;
            others = filter (p: !(elem (key p) (map (d: d.key) done))) (closure inputs);
            chosen = standsFor {
              new = libOf package // { inherit (package) pname; };
              history = map libOf history;
              program = compile.buildtree;
              unpack = true;
              oneIn = reachSample;
              libDirs = map (d: d.libDir) done ++ map ownLibDir (others ++ runtime);
            };
          in
          done ++ [ ({ key = key package; } // (if isIndirect package && history != [ ]
          then { libDir = "${chosen}/lib"; sampled = chosen.sampled; }
          else { libDir = ownLibDir package; })) ])
        [ ]
        (closure inputs);
      checked = map (d: d.libDir) standing;

      check = stdenv.mkDerivation (removeAttrs shared [ "name" "outputs" "separateDebugInfo" ] // {
        pname = "${pname}-check";
        version = args.version or "";
        nativeBuildInputs = shared.nativeBuildInputs
          ++ map native (listed "nativeCheckInputs" args ++ listed "checkInputs" args);
        inherit (compile) buildtree;
        # Tests that are compiled now run on the real libraries too.
        indirInterpreter = interpreter;
        indirLibDirs = toString ((if reaches then checked else map ownLibDir (closure inputs)) ++ map ownLibDir runtime);
        indirStep = "check";
        doCheck = true;
        phases = "indirRestorePhase checkPhase indirDonePhase";
        indirRestorePhase = "source ${./restore-tree.sh}";
        indirDonePhase = if reaches then "source ${./reached.sh}" else "touch $out";
        preferLocalBuild = true;
        allowSubstitutes = false;
      } // (if !reaches then { } else {
        indirSampled = toString (concatMap (d: if d ? sampled then [ d.sampled ] else [ ]) standing);
      }));

      stubDirs = map (tree: "${tree}/lib") (map stubs (if length libraries == length inputs then reached else withPropagated libraries) ++ runtimeStubs);
      indirection = {
        inherit compile inputs propagated named stubDirs;
        # Attributes as they were given: what strings of them name, tables may need. Of some
        # (nativeCheckInputs) a stdenv makes nothing, and they may not even evaluate.
        mentioned = intersectAttrs (compile.drvAttrs // { env = null; }) (removeAttrs args notShared);
        usesShell = usesShell;
        check = if tested then check else throw "${pname} has no tests: doCheck is not true";
        libDir = "${libOf compile}/lib";
        # What was chosen, and why: `explained` in its output.
        standIns = if choosing == [ ] then null else chosen;
        reference =
          let frozen = frozenOf { inherit pname; package = compile; }; in
          if frozen == null then referenceOf args else frozen;
        stubs = stubsOf {
          pkg = compile;
          inherit stubDirs;
          floor = if hasFloor compile then indirection.reference else null;
          hash = hashOf compile;
        };
      };
    in
    compile;

  # As nixpkgs' does, from attributes or from a function of the final ones.
  maker = make: attrs:
    let
      from = if isFunction attrs then attrs else (_: attrs);
      args = from (args // { inherit finalPackage overrideAttrs; });
      overrideAttrs = change: maker make (final:
        let
          previous = from final;
          changed = if isFunction change then change previous else change;
        in
        previous // (if isFunction changed then change final previous else changed));
      finalPackage = make { inherit args overrideAttrs; };
    in
    finalPackage;

  # Of one stdenv nixpkgs makes others. One with another compiler or linker links without
  # indir-ld, so its packages are ordinary; one without a compiler links nothing.
  override = change:
    let changed = stdenv.override change; in
    if changed.cc or null == null then changed
    else if "${changed.cc}" == "${stdenv.cc}" then
      import ./indirect.nix (arguments // {
        stdenv = changed;
        ordinaryStdenv = ordinaryStdenv.override change;
      })
    else foreign (ordinaryStdenv.override change);
  foreign = from: from // {
    mkDerivation = maker ({ args, ... }: ordinary from args);
    override = change: foreign (from.override change);
  };
in
stdenv // {
  mkDerivation = maker ({ args, overrideAttrs }:
    # A fixed output is what its hash says, and no program.
    if args ? outputHash then ordinaryStdenv.mkDerivation (removeAttrs args ours)
    else if args.dontIndir or false then ordinary ordinaryStdenv args
    else indirect { inherit args overrideAttrs; });
  indirection = { inherit closureBy ownLibDir runtime packageOf hashOf shell; };
} // (if stdenv ? override then { inherit override; } else { })
