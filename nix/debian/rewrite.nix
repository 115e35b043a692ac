# The rival: ordinary packages moved to other libraries by rewriting hashes, as
# nixpkgs' replaceDependencies does it. For the comparison in docs/benchmarks.md.
{
  run
  # The ordinary set, by pname.
, packages
  # The same set, where what is to be replaced has other attributes.
, replacements
  # What every package may name: [ { old; new; } ], with names of one length.
, runtime
}:
let
  inherit (builtins) attrNames concatMap filter listToAttrs map mapAttrs removeAttrs;
  outputsOf = package: package.outputs or [ "out" ];
  own = package: removeAttrs package.drvAttrs [ "buildInputs" "propagatedBuildInputs" ];
  isReplaced = name: own packages.${name} != own replacements.${name};
  inputsOf = package: concatMap (input: [ input ] ++ inputsOf input)
    (filter (input: input ? pname) (package.buildInputs ++ package.propagatedBuildInputs));
  pairsOf = input: map (o: { old = input.${o}; new = rewritten.${input.pname}.${o}; }) (outputsOf input);

  rewritten = mapAttrs
    (name: _: rewrite (if isReplaced name then replacements.${name} else packages.${name}))
    packages;
  rewrite = package:
    let
      pairs = filter (pair: "${pair.old}" != "${pair.new}") (runtime ++ concatMap pairsOf (inputsOf package));
    in
    if pairs == [ ] then package
    else run package.name (listToAttrs (map (o: { name = "old_${o}"; value = package.${o}; }) (outputsOf package)) // {
      outputs = outputsOf package;
      indirStep = "rewrite";
      from = map (pair: pair.old) pairs;
      to = map (pair: pair.new) pairs;
    }) ''
      script=
      set -- $to
      for path in $from; do
        script="$script;s|''${path##*/}|''${1##*/}|g"
        shift
      done
      for name in $outputs; do
        old=old_$name
        script="$script;s|$(basename ''${!old})|$(basename ''${!name})|g"
      done
      for name in $outputs; do
        old=old_$name
        cp -a ''${!old} ''${!name}
        chmod -R u+w ''${!name}
        find ''${!name} -type f -exec sed -i "$script" {} +
      done
    '' // { inherit (package) pname version; };
in
{
  packages = rewritten;
  # What is built from source for it.
  replaced = map (name: replacements.${name}) (filter isReplaced (attrNames packages));
}
