# withIndirection: a stdenv whose packages are compiled against stubs and get
# their libraries by table. docs/nix.md explains the parts and every attribute.
#
#   compile  the package, built as ever; it sees stubs only, so an upgrade of a
#            library with the same interface does not build it again
#   relink   its programs, copied, with tables for the real libraries; what
#            `${package}` means. Cheap, local, never substituted
#   check    its tests, on the real libraries
arguments@{
  # A stdenv whose libc is a stub tree and whose linker is that of bintools.nix.
  stdenv
  # For packages with `dontIndir = true`.
, ordinaryStdenv
, indir
, hook
, stubsOf
, run
  # What every program may need beside its inputs: libc, the compiler's libraries.
, runtime
  # The stub trees that belong to `runtime`.
, runtimeStubs
  # From a package to its frozen build: what runs while something is compiled.
, referenceOf ? (package: package)
  # From a package to the tree that its stubs are frozen to, or null.
, floorOf ? (package: null)
  # From a package to the hash of its stub tree, or null: fixed outputs.
, hashOf ? (package: null)
  # Programs that builds put into any package, as the stdenv's shell in scripts:
  # [ { frozen; current; } ]. The frozen one is named while compiling.
, programs ? [ ]
}:
let
  inherit (builtins) concatMap elem filter isFunction isList map removeAttrs;
  unique = builtins.foldl' (seen: x: if elem x seen then seen else seen ++ [ x ]) [ ];
  # As nixpkgs reads lists of inputs: nested, with nulls.
  flatten = x: if isList x then concatMap flatten x else if x == null then [ ] else [ x ];
  listed = name: args: flatten (args.${name} or [ ]);
  isIndirect = package: package ? indirection;
  libOf = package: package.lib or package.out or package;
  ownLibDir = package: package.indirection.libDir or "${libOf package}/lib";
  inputsOf = package: package.indirection.inputs or [ ];
  nameOf = args: args.pname or (builtins.parseDrvName args.name).name;
  # A package and what its libraries need, each once, dependents first.
  closure = packages: unique (concatMap (package: [ package ] ++ closure (inputsOf package)) packages);
  libDirs = packages: unique (map ownLibDir (closure packages ++ runtime));
  referenceDirs = packages:
    unique (map ownLibDir (closure (map referenceOf packages) ++ map referenceOf runtime));

  stubs = package: package.indirection.stubs or package;
  # Frozen with the floor, as the package's own inputs may be others by now.
  stubClosure = packages: unique (concatMap
    (package: [ (stubs package) ]
      ++ stubClosure (inputsOf (if floorOf package == null then package else referenceOf package)))
    (filter isIndirect packages));
  stubDirs = packages: map (tree: "${tree}/lib") (stubClosure packages ++ runtimeStubs);

  # Outputs without programs, by nixpkgs' conventions: they stay as compiled. Not `man`,
  # which is installed with the programs and so has to be of their derivation.
  passive = [ "dev" "lib" "doc" "info" "devdoc" "devman" "static" "debug" ];

  ownAttrs = [ "dontIndir" "indirRelinked" "indirLibrary" "indirCopyLibraries" "indirPluginDirs" "indirPrograms" "doCheck" "passthru" ];

  # What an ordinary package sees of an indirect one. What that propagates are stubs,
  # which only indirect packages are linked with.
  development = package:
    if package.indirection.propagated or [ ] == [ ] then package
    else run "${package.pname}-development"
      {
        real = package.dev or package.out;
        # Where its libraries are, by their own path: it becomes an RPATH.
        library = package.lib or package.out;
        from = map stubs package.indirection.propagated;
        to = map development package.indirection.propagated;
      } ''
      mkdir $out
      for file in $real/*; do ln -s $file $out; done
      rm -rf $out/lib $out/nix-support
      mkdir $out/lib
      for file in $real/lib/{pkgconfig,cmake}; do [ ! -e $file ] || ln -s $file $out/lib; done
      cp -r $real/nix-support $out
      chmod -R u+w $out/nix-support
      echo $library >>$out/nix-support/propagated-build-inputs
      set -- $to
      for path in $from; do
        sed -i "s|$path|$1|g" $out/nix-support/propagated-build-inputs
        shift
      done
    '';

  ordinary = from: args:
    let
      propagated = listed "propagatedBuildInputs" args;
      # Libraries of the set name no library path: the program names them all.
      flags = toString (map (dir: "-rpath ${dir} -rpath-link ${dir}")
        (libDirs (listed "buildInputs" args ++ propagated))) + " --disable-new-dtags ";
    in
    from.mkDerivation (removeAttrs args ownAttrs // {
      buildInputs = map development (listed "buildInputs" args);
      propagatedBuildInputs = map development propagated;
      # Or it would lose the folders of what its libraries need.
      dontPatchELF = true;
      passthru = args.passthru or { };
    } // (if args ? env.NIX_LDFLAGS
    then { env = args.env // { NIX_LDFLAGS = flags + args.env.NIX_LDFLAGS; }; }
    else { NIX_LDFLAGS = flags + (args.NIX_LDFLAGS or ""); }));

  indirect = { args, overrideAttrs }:
    let
      pname = nameOf args;
      propagated = listed "propagatedBuildInputs" args;
      # The stdenv's programs among the inputs, as bash for scripts, are no libraries.
      isProgram = p: builtins.any (pair: pair.current.pname or "" == p.pname or null) programs;
      built = filter (p: !isProgram p) (listed "buildInputs" args);
      inputs = built ++ propagated;
      outputs = args.outputs or [ "out" ];
      relinked = args.indirRelinked or
        (if args.indirLibrary or false then [ ] else filter (o: !elem o passive) outputs);
      tested = args.doCheck or false;
      name = args.name or "${args.pname}-${args.version}";
      asReference = p: if isIndirect p then referenceOf p else p;
      native = listed "nativeBuildInputs" args;
      # A program that is started by path: its frozen build is named while compiling,
      # and that name becomes today's.
      started = map (p: { frozen = asReference p; current = p; }) (listed "indirPrograms" args);
      usual = filter (pair: pair.current.pname or "" != pname) programs;
      named = started ++ usual;
      pathsOf = package: map (o: "${package.${o}}") (package.outputs or [ "out" ]);
      pathsIn = key: toString (concatMap (pair: pathsOf pair.${key}) named);
      frozenPrograms = map (pair: pair.frozen)
        (started ++ (if builtins.any isProgram (listed "buildInputs" args) then usual else [ ]));

      compile = stdenv.mkDerivation (removeAttrs args ownAttrs // {
        outputs = outputs ++ (if tested then [ "buildtree" ] else [ ]);
        nativeBuildInputs = map asReference native ++ frozenPrograms ++ [ hook ];
        buildInputs = map stubs built ++ frozenPrograms;
        propagatedBuildInputs = map stubs propagated;
        # Strings, as a list would be an array with structured attributes.
        indirStubDirs = toString (stubDirs inputs);
        indirReference = toString (referenceDirs inputs);
        indirPassed = toString (filter (o: !elem o relinked) outputs);
        # What must not be named, unless it is in indirPrograms.
        indirFrozen = toString (concatMap (p: pathsOf (referenceOf p)) (filter isIndirect native));
        indirNamed = pathsIn "frozen";
        doCheck = false;
        indirStep = "compile";
      });

      relink = run name ({
        inherit indir;
        outputs = relinked;
        # It costs less than asking a server for it, and would be a second copy there.
        allowSubstitutes = false;
        preferLocalBuild = true;
        indirStep = "relink";
        # A fixed output is not built again when the package changes.
        floorChecks = concatMap
          (package: if hashOf package == null then [ ] else [
            (stubsOf { pkg = package; floor = package.indirection.stubs; })
          ])
          (filter isIndirect (closure inputs));
        copyLibraries = args.indirCopyLibraries or false;
        libDirs = (if args.indirCopyLibraries or false then [ ] else [ (ownDir compile) ])
          ++ libDirs inputs;
        pluginDirs = args.indirPluginDirs or [ ];
        frozen = pathsIn "frozen";
        current = pathsIn "current";
      } // builtins.listToAttrs
        (map (o: { name = "compiled_${o}"; value = "${all}${compile.${o}}"; }) relinked)) ./relink.sh;

      # Says nothing, but whoever names it asks for all outputs that stubs are made
      # from: Nix 2.8 fails with `map::at` where one run asks for more outputs of a
      # derivation when it has begun with it.
      all = builtins.substring 0 0 (toString
        (map (o: compile.${o}) (filter (o: elem o [ "out" "dev" "lib" "bin" ]) outputs)));
      ownDir = built: "${all}${built.lib or built.out}/lib";

      check = stdenv.mkDerivation (removeAttrs args (ownAttrs ++ [ "name" "outputs" "buildInputs" "propagatedBuildInputs" ]) // {
        pname = "${pname}-check";
        version = args.version or "";
        nativeBuildInputs = map asReference native ++ map asReference (listed "nativeCheckInputs" args ++ listed "checkInputs" args)
          ++ frozenPrograms ++ [ hook ];
        inherit (compile) buildtree;
        inherit indir;
        indirReference = toString (libDirs inputs);
        indirStubDirs = toString (stubDirs inputs);
        # OLD=NEW for the tables that were written at link time.
        indirReplace = toString (concatMap
          (package: map (real: "${ownLibDir package}=${ownLibDir real}")
            (filter (real: real.pname == package.pname) (closure inputs ++ runtime)))
          (closure (map referenceOf inputs) ++ map referenceOf runtime));
        indirStep = "check";
        doCheck = true;
        phases = "indirRestorePhase checkPhase indirDonePhase";
        indirRestorePhase = "source ${./restore-tree.sh}";
        indirDonePhase = "touch $out";
        preferLocalBuild = true;
        allowSubstitutes = false;
      });

      indirection = {
        inherit compile inputs propagated;
        relink = if relinked == [ ] then null else relink;
        check = if tested then check else throw "${name} has no tests: doCheck is not true";
        libDir = if args.indirCopyLibraries or false then "${all}${relink.lib or relink.out}/lib" else ownDir compile;
        stubLibDirs = stubDirs inputs;
        stubs = stubsOf { pkg = self; floor = floorOf self; hash = hashOf self; };
      };
      # What Nix itself asks of a derivation must be its own outputs.
      whole = if elem (builtins.head outputs) relinked then relinked else outputs;
      meta = compile.meta or args.meta or { };
      outputOf = o: if elem o relinked then relink.${o} else compile.${o};
      self = compile // outputOf (builtins.head outputs) // {
        inherit pname overrideAttrs indirection;
        outputs = whole;
        version = args.version or (builtins.parseDrvName name).version;
        meta = meta // (if meta ? outputsToInstall
        then { outputsToInstall = filter (o: elem o whole) meta.outputsToInstall; }
        else { });
        passthru = args.passthru or { };
        outputSpecified = false;
      } // builtins.listToAttrs (map
        # `${package.dev}` among the inputs means the package.
        (o: { name = o; value = self // outputOf o // { outputSpecified = true; }; })
        outputs)
      // args.passthru or { };
    in
    self;

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
      import ./with-indirection.nix (arguments // {
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
    if args.dontIndir or false then ordinary ordinaryStdenv args else indirect { inherit args overrideAttrs; });
  indirection = { inherit libDirs stubDirs; ordinary = ordinaryStdenv; };
} // (if stdenv ? override then { inherit override; } else { })
