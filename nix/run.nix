# run { system; shell; PATH; } NAME ATTRIBUTES SCRIPT: a derivation from a shell
# script (text or a file), with nothing but these. The argument that everything here
# calls `run`; in nixpkgs, `runCommandLocal` does for it.
{ system ? "x86_64-linux", shell, PATH }:
name: attrs: script: derivation ({
  inherit name system PATH;
  builder = shell;
  # With `exit`, so that bash does not become the last command: Nix kills a builder
  # that has closed its output, which those of coreutils do before they end.
  args = if builtins.isPath script then [ "-e" script ] else [ "-ec" "${script}\nexit" ];
} // attrs)
