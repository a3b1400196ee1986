# Removes what must not be the same on every server of an image. Everything is optional but the removing itself: a base
# without cloud-init or without an SSH server is generalized all the same.
if command -v cloud-init >/dev/null 2>&1; then
  cloud-init clean --logs --seed >/dev/null 2>&1 || cloud-init clean --logs || cloud-init clean || :
fi
rm -rf /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/data /var/lib/cloud/sem

# An empty machine-id is made anew at the next boot; a missing one is not by every distribution.
if [ -e /etc/machine-id ]; then : >/etc/machine-id; fi
rm -f /var/lib/dbus/machine-id
if [ -e /etc/machine-id ] && [ -d /var/lib/dbus ]; then ln -s /etc/machine-id /var/lib/dbus/machine-id || :; fi

rm -f /etc/ssh/ssh_host_*
for home in /root /home/*; do
  rm -f "$home/.ssh/authorized_keys" "$home/.bash_history" "$home/.ash_history" "$home/.sh_history"
done
rm -rf /var/lib/systemd/random-seed /var/lib/dhcp/* /var/lib/dhclient/* /var/lib/NetworkManager/*.lease

# The SSM agent's identity and the commands that it ran before. The folder of the command that runs now stays: the agent
# still writes its result there.
rm -rf /var/lib/amazon/ssm/Vault /var/lib/amazon/ssm/registration /var/lib/amazon/ssm/runtimeconfig
for folder in /var/lib/amazon/ssm/*/document/orchestration/*; do
  case "${STAMPMILL_SELF:-}" in
  "$folder"/*) ;;
  *) rm -rf "$folder" ;;
  esac
done
rm -rf /var/lib/stampmill
command -v sync >/dev/null 2>&1 && sync
exit 0
