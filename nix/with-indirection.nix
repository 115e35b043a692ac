# withIndirection: a stdenv whose packages are compiled against stubs and get
# their libraries by table. docs/nix.md explains the parts and every attribute.
#
#   compile  the package, built as ever; it sees stubs only, so an upgrade of a
#            library with the same interface does not build it again
#   relink   its programs, copied, with tables for the real libraries; what
#            `${package}` means. Cheap, local, never substituted
#   check    its tests, on the real libraries
{
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
}:
let
  inherit (builtins) concatMap elem filter isFunction map removeAttrs;
  unique = builtins.foldl' (seen: x: if elem x seen then seen else seen ++ [ x ]) [ ];
  isIndirect = package: package ? indirection;
  libOf = package: package.lib or package;
  ownLibDir = package: package.indirection.libDir or "${libOf package}/lib";
  inputsOf = package: package.indirection.inputs or [ ];
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

  # Outputs without programs, by nixpkgs' conventions: they stay as compiled.
  passive = [ "dev" "lib" "man" "doc" "info" "devdoc" "devman" "static" "debug" ];

  ownAttrs = [ "dontIndir" "indirRelinked" "indirLibrary" "indirCopyLibraries" "indirPluginDirs" "doCheck" "passthru" ];

  ordinary = args: ordinaryStdenv.mkDerivation (removeAttrs args ownAttrs // {
    # Libraries of the set name no library path: the program names them all.
    NIX_LDFLAGS = toString (map (dir: "-rpath ${dir} -rpath-link ${dir}")
      (libDirs ((args.buildInputs or [ ]) ++ (args.propagatedBuildInputs or [ ]))))
      + " --disable-new-dtags " + (args.NIX_LDFLAGS or "");
    passthru = args.passthru or { };
  });

  indirect = args:
    let
      inputs = (args.buildInputs or [ ]) ++ (args.propagatedBuildInputs or [ ]);
      outputs = args.outputs or [ "out" ];
      relinked = args.indirRelinked or
        (if args.indirLibrary or false then [ ] else filter (o: !elem o passive) outputs);
      tested = args.doCheck or false;
      name = args.name or "${args.pname}-${args.version}";
      native = map (p: if isIndirect p then referenceOf p else p) (args.nativeBuildInputs or [ ]);

      compile = stdenv.mkDerivation (removeAttrs args ownAttrs // {
        outputs = outputs ++ (if tested then [ "buildtree" ] else [ ]);
        nativeBuildInputs = native ++ [ hook ];
        buildInputs = map stubs (args.buildInputs or [ ]);
        propagatedBuildInputs = map stubs (args.propagatedBuildInputs or [ ]);
        indirStubDirs = stubDirs inputs;
        indirReference = referenceDirs inputs;
        indirPassed = filter (o: !elem o relinked) outputs;
        doCheck = false;
        indirStep = "compile";
      });

      relink = derivation ({
        inherit name indir;
        inherit (stdenv) system;
        builder = stdenv.shell;
        args = [ "-e" ./relink.sh ];
        inherit (run) PATH;
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
      } // builtins.listToAttrs
        (map (o: { name = "compiled_${o}"; value = compile.${o}; }) relinked));

      ownDir = built: "${built.lib or built.out}/lib";

      check = stdenv.mkDerivation (removeAttrs args (ownAttrs ++ [ "outputs" "buildInputs" "propagatedBuildInputs" ]) // {
        pname = "${args.pname}-check";
        nativeBuildInputs = native ++ (args.nativeCheckInputs or [ ]) ++ [ hook ];
        inherit (compile) buildtree;
        inherit indir;
        indirReference = libDirs inputs;
        indirStubDirs = stubDirs inputs;
        # OLD=NEW for the tables that were written at link time.
        indirReplace = concatMap
          (package: map (real: "${ownLibDir package}=${ownLibDir real}")
            (filter (real: real.pname == package.pname) (closure inputs ++ runtime)))
          (closure (map referenceOf inputs) ++ map referenceOf runtime);
        indirStep = "check";
        phases = "indirRestorePhase checkPhase indirDonePhase";
        indirRestorePhase = "source ${./restore-tree.sh}";
        indirDonePhase = "touch $out";
        preferLocalBuild = true;
        allowSubstitutes = false;
      });

      self = (if relinked == [ ] then compile else relink) // {
        inherit (args) pname version;
        inherit outputs;
        meta = args.meta or { };
        overrideAttrs = f: mkDerivation (args // f args);
        indirection = {
          inherit compile inputs;
          relink = if relinked == [ ] then null else relink;
          check = if tested then check else throw "${name} has no tests: doCheck is not true";
          libDir = if args.indirCopyLibraries or false then "${relink.lib or relink.out}/lib" else ownDir compile;
          stubLibDirs = stubDirs inputs;
          stubs = stubsOf { pkg = self; floor = floorOf self; hash = hashOf self; };
        };
      } // builtins.listToAttrs (map (o: { name = o; value = compile.${o}; })
        (filter (o: !elem o relinked) outputs))
      // args.passthru or { };
    in
    self;

  mkDerivation = args:
    let attrs = if isFunction args then (let self = args self; in self) else args; in
    if attrs.dontIndir or false then ordinary attrs else indirect attrs;
in
stdenv // { inherit mkDerivation; indirection = { inherit libDirs stubDirs; }; }
