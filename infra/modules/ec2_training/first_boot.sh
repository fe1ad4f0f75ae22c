# Runs once, as root, when the instance starts for the first time; the line above sets max_hours.
# Installs the dead man's switch, which then works at this and every later boot: the instance
# goes off after max_hours whatever happens, and earlier when nobody trains on it.
set -euo pipefail

every_boot="${KENNEL_PER_BOOT:-/var/lib/cloud/scripts/per-boot}"
mkdir -p "$every_boot"

# A boot script: cloud-init runs what is executable here.
cat >"$every_boot/dead_man.sh" <<SWITCH
#!/bin/bash
shutdown -P +$((max_hours * 60)) || shutdown -P now
systemd-run --unit=idle-guard bash "$every_boot/idle_guard"
SWITCH

# Not executable, so it only runs when it is told to.
cat >"$every_boot/idle_guard" <<'GUARD'
while sleep 900; do
  units=$(systemctl list-units --plain --no-legend) || continue
  grep -Eq '^kennel-\S+\.service +loaded +activ' <<<"$units" || shutdown -P now
done
GUARD

chmod 755 "$every_boot/dead_man.sh"
chmod 644 "$every_boot/idle_guard"
"$every_boot/dead_man.sh"
