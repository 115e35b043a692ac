# For NixOS: the tables of all programs of a system as a part of its generation, at
# /etc/indir/tables, where the shim looks last. Switching and rolling back are the
# generation's own.
{ config, lib, pkgs, ... }:
let
  cfg = config.system.indirection;
  units = lib.attrValues config.systemd.units;
  tables = pkgs.indirection.tablesOf {
    name = "system-tables";
    packages = config.environment.systemPackages ++ config.systemd.packages;
    closures = map (unit: unit.unit) units;
    inherit (cfg) libraries prefer;
  };
in
{
  options.system.indirection = {
    enable = lib.mkEnableOption "tables for the indirect programs of this system";
    libraries = lib.mkOption {
      type = lib.types.listOf lib.types.package;
      default = [ ];
      description = "Packages whose libraries programs need that are named by path alone, or open by name.";
    };
    prefer = lib.mkOption {
      type = lib.types.listOf lib.types.package;
      default = [ ];
      description = "Of packages with libraries of one soname, the ones that are meant.";
    };
  };
  config = lib.mkIf cfg.enable {
    environment.etc."indir/tables".source = "${tables}/tables";
  };
}
