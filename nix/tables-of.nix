# tablesOf { packages; … }: the tables of every program in the closure of an environment
# (a system, a profile, a package), by id, in one derivation. Nothing else of the
# environment changes when a library is upgraded. docs/nix.md, "Environments".
{
  # indir, the program; and a function to make a derivation from a shell script.
  indir
, run
  # From indirect.nix: its notion of what a package needs, and of what it is.
, closureBy
, ownLibDir
, runtime
, packageOf
, hashOf
, stubsOf
, shell
  # Paths of the frozen runtime, which no environment may hold.
, frozenRuntime
}:
{
  name ? "tables"
  # What the environment is made of.
, packages
  # More paths whose closures belong to it: a profile, units of a service manager.
, closures ? [ ]
  # Packages whose libraries it may need, beside those that `packages` are compiled with:
  # of programs that are named by path alone, of what is opened by name at run time.
, libraries ? [ ]
  # Of two packages with libraries of one soname, the one that is meant.
, prefer ? [ ]
}:
let
  inherit (builtins)
    attrNames concatMap elem filter genList getContext length listToAttrs map removeAttrs toJSON
    unsafeDiscardStringContext;
  isIndirect = package: package ? indirection;
  # What a package names by path, as far as the set knows it by name.
  mentioned = package:
    let
      known = listToAttrs (map (input: { name = unsafeDiscardStringContext input.drvPath; value = null; })
        (filter isIndirect package.indirection.inputs));
    in
    filter (found: found != null)
      (map packageOf (attrNames (removeAttrs (getContext (toJSON package.indirection.mentioned)) (attrNames known))));
  needed = package: package.indirection.inputs ++ package.indirection.named ++ mentioned package
    ++ (if package.indirection.usesShell && shell != null && isIndirect shell.current then [ shell.current ] else [ ]);
  all = closureBy (package: if isIndirect package then filter isIndirect (needed package) else [ ])
    (prefer ++ filter isIndirect packages ++ libraries);

  only = package: output: package.${output};
  installed = package:
    if package.outputSpecified or false || !(package ? outputs) then [ package ]
    else map (only package)
      (filter (output: !elem output [ "dev" "doc" "info" "man" "devdoc" "devman" "static" "debug" "buildtree" ])
        package.outputs);
  roots = concatMap installed packages ++ closures;
  number = toString;
  tables = run name {
    inherit indir;
    indirStep = "tables";
    exportReferencesGraph = concatMap (n: [ "closure-${number n}" (builtins.elemAt roots n) ]) (genList (n: n) (length roots));
    # Too long, in a large system, for a variable.
    passAsFile = [ "libDirs" "preferred" ];
    libDirs = map ownLibDir all;
    preferred = map ownLibDir prefer;
    runtimeDirs = map ownLibDir runtime;
    frozenNames = map (path: baseNameOf (unsafeDiscardStringContext "${path}")) frozenRuntime;
    # A fixed output is not built again when its package changes.
    floorChecks = map
      (package: stubsOf {
        pkg = package;
        stubDirs = [ ];
        floor = { outputs = [ "out" ]; out = package.indirection.stubs; };
        isCheck = true;
      })
      (filter (package: isIndirect package && hashOf package != null) all);
    preferLocalBuild = true;
    allowSubstitutes = false;
  } ./tables.sh;
in
tables // {
  # For `nix develop`, mkShell and scripts.
  shellHook = ''
    export INDIR_TABLES=${tables}/tables''${INDIR_TABLES:+:$INDIR_TABLES}
  '';
}
