#!/bin/sh
# Puts the SSM agent on a server that comes without it: from the distribution, else from AWS's bucket.
case "$(uname -m)" in
aarch64 | arm64) arch=arm64 ;;
*) arch=amd64 ;;
esac
bucket=https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent/latest
install_agent() {
  if command -v dnf >/dev/null 2>&1; then
    dnf install -y amazon-ssm-agent || dnf install -y "$bucket/linux_$arch/amazon-ssm-agent.rpm"
  elif command -v yum >/dev/null 2>&1; then
    yum install -y amazon-ssm-agent || yum install -y "$bucket/linux_$arch/amazon-ssm-agent.rpm"
  elif command -v apt-get >/dev/null 2>&1; then
    apt-get install -y amazon-ssm-agent && return
    curl -fsSL -o /tmp/amazon-ssm-agent.deb "$bucket/debian_$arch/amazon-ssm-agent.deb" ||
      wget -q -O /tmp/amazon-ssm-agent.deb "$bucket/debian_$arch/amazon-ssm-agent.deb" || return
    dpkg -i /tmp/amazon-ssm-agent.deb
    rm -f /tmp/amazon-ssm-agent.deb
  elif command -v zypper >/dev/null 2>&1; then
    zypper --non-interactive install amazon-ssm-agent ||
      zypper --non-interactive --no-gpg-checks install "$bucket/linux_$arch/amazon-ssm-agent.rpm"
  else
    echo 'stampmill: this server has no package manager that the SSM agent can be installed with'
    return 1
  fi
}
tries=0
until command -v amazon-ssm-agent >/dev/null 2>&1 || install_agent; do
  tries=$((tries + 1))
  if [ "$tries" -ge 5 ]; then exit 1; fi
  sleep 10
done
systemctl enable amazon-ssm-agent
systemctl start amazon-ssm-agent
